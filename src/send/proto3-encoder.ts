import { addPiece } from '../block/batch.js';
import type { ExtentSource } from '../extents/extents.js';
import { createPieceCursor } from '../extents/piece-cursor.js';
import { PROTO3_HEADER_BYTES, writeProto3Header } from '../stream/proto3.js';
import type { Encoder } from './encoder.js';

const MAX_RECORD_BYTES = 1 << 20;
/** Memory alignment to aim for. */
const PAGE_BYTES = 4096;
const START = PAGE_BYTES - PROTO3_HEADER_BYTES;

/**
 * PROTO[3] records of all extents, ascending, with a header before each piece. The first record
 * of a buffer has page-aligned data: where records are long, each has a buffer to itself and is
 * read and sent without a copy.
 */
export function createProto3Encoder(extents: ExtentSource): Encoder {
  const pieces = createPieceCursor(extents);
  let more = pieces.take(MAX_RECORD_BYTES);

  return {
    bufferBytes: PAGE_BYTES + MAX_RECORD_BYTES,
    layOut(batch) {
      let end = START;
      while (more && batch.count < batch.offsets.length) {
        const position = end + PROTO3_HEADER_BYTES;
        if (position + pieces.length > batch.buffer.length) break;
        addPiece(batch, pieces.offset, pieces.length, position);
        end = position + pieces.length;
        more = pieces.take(MAX_RECORD_BYTES);
      }
      return batch.count > 0;
    },
    async seal({ buffer, count, offsets, lengths, positions }) {
      let dataBytes = 0;
      for (let i = 0; i < count; i++) {
        const position = positions[i]! - PROTO3_HEADER_BYTES;
        writeProto3Header(buffer, position, offsets[i]!, lengths[i]!);
        dataBytes += lengths[i]!;
      }
      const end = positions[count - 1]! + lengths[count - 1]!;
      const endOffset = offsets[count - 1]! + lengths[count - 1]!;
      const bytes = [buffer.subarray(START, end)];
      return { bytes, recordCount: count, dataBytes, zeroBytes: 0, endOffset };
    },
  };
}
