import type { Extents } from './extents.js';

/** So many are found, and dealt with, in well under a millisecond. */
const SLICE_EXTENTS = 1024;
/** One word of a bitmap holds up to 16 runs, and fullness is asked once a word. */
const SPARE_EXTENTS = 16;

/** Collects runs of chunks and hands them out as slices of extents, all in the same arrays. */
export interface SliceBuilder {
  /** Adds the chunks from `start` to before `end`; at most 16 times between two looks at `isFull`. */
  add(start: number, end: number): void;
  isFull(): boolean;
  isEmpty(): boolean;
  /** Good until the next `add`. */
  take(): Extents;
}

/** @param volumeBytes where the last chunk is clipped */
export function createSliceBuilder(chunkBytes: number, volumeBytes: number): SliceBuilder {
  const offsets = new Float64Array(SLICE_EXTENTS + SPARE_EXTENTS);
  const lengths = new Float64Array(SLICE_EXTENTS + SPARE_EXTENTS);
  let count = 0;
  return {
    add(start, end) {
      const offset = start * chunkBytes;
      offsets[count] = offset;
      lengths[count] = Math.min(end * chunkBytes, volumeBytes) - offset;
      count++;
    },
    isFull: () => count >= SLICE_EXTENTS,
    isEmpty: () => count === 0,
    take() {
      const slice = { count, offsets, lengths };
      count = 0;
      return slice;
    },
  };
}
