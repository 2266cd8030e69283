import type { ExtentSource, Extents } from './extents.js';

/**
 * Walks the extents of a source in pieces, without an object for each: after `take` answers true,
 * `offset` and `length` are the piece.
 */
export interface PieceCursor {
  readonly offset: number;
  readonly length: number;
  /** Moves to the next piece, of `maxBytes` (more than 0) at most; false at the end. */
  take(maxBytes: number): boolean;
}

export function createPieceCursor(source: Pick<ExtentSource, 'slices'>): PieceCursor {
  const slices = source.slices()[Symbol.iterator]();
  let slice: Extents = { count: 0, offsets: new Float64Array(0), lengths: new Float64Array(0) };
  let next = 0;
  let extentEnd = 0;
  let offset = 0;
  let length = 0;

  function takeExtent(): boolean {
    while (next === slice.count) {
      const step = slices.next();
      if (step.done) return false;
      slice = step.value;
      next = 0;
    }
    offset = slice.offsets[next]!;
    extentEnd = offset + slice.lengths[next]!;
    next++;
    return true;
  }

  return {
    get offset() {
      return offset;
    },
    get length() {
      return length;
    },
    take(maxBytes) {
      offset += length;
      length = 0;
      if (offset === extentEnd && !takeExtent()) return false;
      length = Math.min(maxBytes, extentEnd - offset);
      return true;
    },
  };
}
