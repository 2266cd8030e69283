import type { Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import type { ByteSource } from '../stream/bytes.js';
import {
  damaged,
  isSkippable,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  readRecordHeader,
  TABLE_ENTRY_BYTES,
} from '../stream/proto4.js';

/** Records of a PROTO[4] stream, each with its checksums proved. */
export interface RecordReader {
  /** The next record's header; undefined at an end between two records. */
  nextHeader(): Promise<RecordHeader | undefined>;
  /**
   * Reads table and payload of the record whose header came last, so that the payload starts at
   * `payloadPosition` of `into`, and the header and the table end there.
   *
   * @throws LvmsyncError STREAM_TRUNCATED, STREAM_DAMAGED
   */
  readBody(into: Buffer, payloadPosition: number): Promise<RecordBody>;
  /** The same, into memory of its own: for what is short, and for what is kept. */
  readOwnBody(): Promise<RecordBody>;
}

export interface RecordBody {
  /** Header and table, one behind the other. */
  prologue: Buffer;
  /** As sent. */
  payload: Buffer;
}

export function createRecordReader(
  source: ByteSource,
  engine: Pick<Engine, 'crc32c'>,
): RecordReader {
  const headerBytes = Buffer.alloc(RECORD_HEADER_BYTES);
  let underWay: RecordHeader | undefined;
  let recordCount = 0;

  /** Fills all of `into`; false when the source ended before the first byte. */
  async function fill(
    into: Buffer,
    what: string,
    read: (rest: Buffer) => Promise<number> = (rest) => source.read(rest),
  ): Promise<boolean> {
    for (let filled = 0; filled < into.length; ) {
      const readBytes = await read(into.subarray(filled));
      if (readBytes === 0) {
        if (filled === 0 && what === 'header') return false;
        throw truncated(`inside the ${what} of record ${recordCount}`);
      }
      filled += readBytes;
    }
    return true;
  }

  /** Returns its checksum. */
  async function fillBody(body: Buffer): Promise<number> {
    const { readChecked } = source;
    if (readChecked === undefined) {
      await fill(body, 'body');
      return engine.crc32c(body);
    }
    let bodyCrc = 0;
    await fill(body, 'body', async (rest) => {
      const { bytes, crc } = await readChecked(rest, bodyCrc);
      bodyCrc = crc;
      return bytes;
    });
    return bodyCrc;
  }

  async function nextHeader(): Promise<RecordHeader | undefined> {
    for (;;) {
      if (!(await fill(headerBytes, 'header'))) return undefined;
      underWay = readRecordHeader(headerBytes, 0);
      if (!isSkippable(underWay.type)) return underWay;
      await readOwnBody();
    }
  }

  async function readBody(into: Buffer, payloadPosition: number): Promise<RecordBody> {
    const header = headerUnderWay();
    const tablePosition = payloadPosition - header.extentCount * TABLE_ENTRY_BYTES;
    const start = tablePosition - RECORD_HEADER_BYTES;
    const end = payloadPosition + header.payloadBytes;
    if ((await fillBody(into.subarray(tablePosition, end))) !== header.bodyCrc) {
      throw damaged(`the checksum of record ${recordCount} is wrong`);
    }
    // Not before: the first who writes to a fresh buffer waits until there is memory behind it.
    headerBytes.copy(into, start);
    recordCount++;
    underWay = undefined;
    return {
      prologue: into.subarray(start, payloadPosition),
      payload: into.subarray(payloadPosition, end),
    };
  }

  async function readOwnBody(): Promise<RecordBody> {
    const { extentCount, payloadBytes } = headerUnderWay();
    const prologueBytes = RECORD_HEADER_BYTES + extentCount * TABLE_ENTRY_BYTES;
    return readBody(Buffer.allocUnsafe(prologueBytes + payloadBytes), prologueBytes);
  }

  function headerUnderWay(): RecordHeader {
    if (underWay === undefined) throw new LvmsyncError('INTERNAL', 'no record is under way');
    return underWay;
  }

  return { nextHeader, readBody, readOwnBody };
}

export function truncated(where: string): LvmsyncError {
  return new LvmsyncError('STREAM_TRUNCATED', `the stream ends ${where}`, {
    hint: 'the sender or the way from it failed; run the same command again',
  });
}
