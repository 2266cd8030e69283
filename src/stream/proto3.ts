/**
 * PROTO[3], the classic wire and snapback framing: the handshake line, then to the end of the
 * stream `u64 BE byte offset | u32 BE length | length bytes`. No terminator, no checksum.
 */
import { addPiece, type Batch } from '../block/batch.js';
import { LvmsyncError } from '../errors.js';

/** Bytes of a record before its data. */
export const PROTO3_HEADER_BYTES = 12;

const TWO_32 = 2 ** 32;

/** Writes a record's header at `position`; `length` is at most 2^32 - 1. */
export function writeProto3Header(
  buffer: Buffer,
  position: number,
  offset: number,
  length: number,
): void {
  buffer.writeUInt32BE(Math.floor(offset / TWO_32), position);
  buffer.writeUInt32BE(offset % TWO_32, position + 4);
  buffer.writeUInt32BE(length, position + 8);
}

export interface Proto3Decoder {
  /** Records whose header has been read so far. */
  readonly recordCount: number;
  /** Of a record that is not complete yet: how much of its data was found. Undefined between two. */
  readonly incompleteBytes: number | undefined;
  /**
   * Adds to `batch` the data found in `batch.buffer[start, end)`, in stream order, until the
   * bytes or the batch's room run out. A record of which only a part is there gives a piece that
   * ends on a multiple of 4096 on the device, so that the rest stays aligned.
   *
   * @returns where the first byte not taken is; the caller puts it at the start of the next call
   * @throws LvmsyncError STREAM_DAMAGED when a record lies beyond `limitBytes`
   */
  decode(batch: Batch, start: number, end: number): number;
  /** To be called at the end of the stream with the bytes not taken. @throws STREAM_TRUNCATED */
  finish(restBytes: number): void;
}

const SPLIT_BYTES = 4096;

/** @param limitBytes size of what the records are for: none may end beyond it */
export function createProto3Decoder(limitBytes: number): Proto3Decoder {
  let recordCount = 0;
  let offset = 0; // of the next byte of the record under way
  let left = 0; // bytes of the record under way still to come
  let recordBytes = 0; // its length

  function readHeader(buffer: Buffer, position: number): void {
    const high = buffer.readUInt32BE(position);
    offset = high * TWO_32 + buffer.readUInt32BE(position + 4);
    left = buffer.readUInt32BE(position + 8);
    if (offset + left > limitBytes) {
      throw new LvmsyncError(
        'PAST_END',
        `record ${recordCount} (offset ${offset}, ${left} bytes) ends beyond the target's ${limitBytes} bytes`,
        {
          offset,
          hint: 'the target is smaller than the source, or the stream is damaged or written by an early classic lvmsync in another byte order',
        },
      );
    }
    recordBytes = left;
    recordCount++;
  }

  function decode(batch: Batch, start: number, end: number): number {
    let position = start;
    while (batch.count < batch.offsets.length) {
      if (left === 0) {
        if (end - position < PROTO3_HEADER_BYTES) break;
        readHeader(batch.buffer, position);
        position += PROTO3_HEADER_BYTES;
        continue;
      }
      const available = end - position;
      const length = left <= available ? left : available - ((offset + available) % SPLIT_BYTES);
      if (length <= 0) break;
      addPiece(batch, offset, length, position);
      position += length;
      offset += length;
      left -= length;
    }
    return position;
  }

  function finish(restBytes: number): void {
    if (left > 0) {
      throw new LvmsyncError(
        'STREAM_TRUNCATED',
        `the stream ends inside record ${recordCount - 1}: ${left - restBytes} bytes of data are missing`,
        { offset, hint: 'the target is incomplete; send the changes again from the same snapshot' },
      );
    }
    if (restBytes > 0) {
      throw new LvmsyncError(
        'STREAM_TRUNCATED',
        `the stream ends inside the header of record ${recordCount}`,
        { hint: 'the target is incomplete; send the changes again from the same snapshot' },
      );
    }
  }

  return {
    get recordCount() {
      return recordCount;
    },
    get incompleteBytes() {
      return left > 0 ? recordBytes - left : undefined;
    },
    decode,
    finish,
  };
}
