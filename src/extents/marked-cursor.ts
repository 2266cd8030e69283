import type { ExtentSource } from './extents.js';
import { createPieceCursor, type PieceCursor } from './piece-cursor.js';

/** A piece cursor that also tells whether a piece lies in the marked extents. */
export interface MarkedCursor extends PieceCursor {
  readonly isMarked: boolean;
}

/** Walks `source` in pieces that are cut where `marked` begins and ends. */
export function createMarkedCursor(
  source: Pick<ExtentSource, 'slices'>,
  marked: Pick<ExtentSource, 'slices'> | undefined,
): MarkedCursor {
  const pieces = createPieceCursor(source);
  const marks = marked && createPieceCursor(marked);
  let moreMarks = marks?.take(Number.MAX_SAFE_INTEGER) ?? false;
  let offset = 0;
  let length = 0;
  let pieceEnd = 0;
  let isMarked = false;

  /** The end of the mark that `offset` is in, or the start of the next one. */
  function nextBorder(): number {
    while (moreMarks && marks!.offset + marks!.length <= offset) {
      moreMarks = marks!.take(Number.MAX_SAFE_INTEGER);
    }
    isMarked = moreMarks && marks!.offset <= offset;
    if (!moreMarks) return Number.MAX_SAFE_INTEGER;
    return isMarked ? marks!.offset + marks!.length : marks!.offset;
  }

  return {
    get offset() {
      return offset;
    },
    get length() {
      return length;
    },
    get isMarked() {
      return isMarked;
    },
    take(maxBytes) {
      offset += length;
      length = 0;
      if (offset === pieceEnd) {
        if (!pieces.take(maxBytes)) return false;
        offset = pieces.offset;
        pieceEnd = offset + pieces.length;
      }
      length = Math.min(pieceEnd, nextBorder()) - offset;
      return true;
    },
  };
}
