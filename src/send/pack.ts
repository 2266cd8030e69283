/**
 * Lays records out in buffers: which piece of which extent goes where, with room for a header
 * before each. Pure arithmetic; the engine then fills the pieces and the encoder the gaps.
 */
import { addPiece, type Batch } from '../block/batch.js';
import type { ExtentSource } from '../extents/extents.js';
import { createPieceCursor } from '../extents/piece-cursor.js';

/** Memory and device alignment to aim for. */
const PAGE_BYTES = 4096;

export interface PackOptions {
  /** Room to leave before each record's data. At most one page. */
  headerBytes: number;
  /** Longest record; a multiple of the page. */
  maxRecordBytes: number;
}

export interface Packing {
  /** Where the first header starts. */
  start: number;
  /** The end of the last record's data. */
  end: number;
}

export interface Packer {
  /** Fills the batch with the next records; undefined when none are left. */
  next(batch: Batch): Packing | undefined;
}

/** How large a buffer must be for the longest record to lie page-aligned in it. */
export function packBufferBytes(maxRecordBytes: number): number {
  return PAGE_BYTES + maxRecordBytes;
}

/**
 * Packs all extents in ascending order, each cut at `maxRecordBytes`. The first record of a
 * buffer has page-aligned data: where records are long, each has a buffer to itself and is read
 * and sent without a copy.
 */
export function createPacker(extents: ExtentSource, options: PackOptions): Packer {
  const { headerBytes, maxRecordBytes } = options;
  const pieces = createPieceCursor(extents);
  let more = pieces.take(maxRecordBytes);

  function next(batch: Batch): Packing | undefined {
    batch.count = 0;
    const start = PAGE_BYTES - headerBytes;
    let end = start;
    while (more && batch.count < batch.offsets.length) {
      const position = end + headerBytes;
      if (position + pieces.length > batch.buffer.length) break;
      addPiece(batch, pieces.offset, pieces.length, position);
      end = position + pieces.length;
      more = pieces.take(maxRecordBytes);
    }
    return batch.count === 0 ? undefined : { start, end };
  }

  return { next };
}
