import { createChunkSet } from './chunk-set.js';
import type { ExtentSource } from './extents.js';

/** Blocks of a volume that are marked, to be told as extents in the end. */
export interface BlockMarks {
  /** Marks the blocks that a range has a part in. */
  mark(offset: number, length: number): void;
  toExtents(): Promise<ExtentSource>;
}

/** Marked at once, where none of them is marked yet. */
const RUN_BLOCKS = 256;

/** A bit for each block, of memory that is not there before it is touched. */
export function createBlockMarks(volumeBytes: number, blockBytes: number): BlockMarks {
  const blockCount = Math.ceil(volumeBytes / blockBytes);
  const set = createChunkSet(blockCount, blockCount);
  return {
    mark(offset, length) {
      const end = Math.ceil((offset + length) / blockBytes);
      for (let block = Math.floor(offset / blockBytes); block < end; block += RUN_BLOCKS) {
        const count = Math.min(RUN_BLOCKS, end - block);
        if (set.addRun(block, count)) continue;
        for (let index = 0; index < count; index++) set.add(block + index);
      }
    },
    toExtents: () => set.toExtents(blockBytes, volumeBytes),
  };
}
