import { createChunkSet } from './chunk-set.js';
import type { ExtentSource } from './extents.js';

/** Blocks of a volume that are marked, to be told as extents in the end. */
export interface BlockMarks {
  /** Marks the blocks that a range has a part in. */
  mark(offset: number, length: number): void;
  toExtents(): Promise<ExtentSource>;
}

/** Blocks that are marked at a time. */
const COLUMN_BLOCKS = 256;

/** A bit for each block, of memory that is not there before it is touched. */
export function createBlockMarks(volumeBytes: number, blockBytes: number): BlockMarks {
  const blockCount = Math.ceil(volumeBytes / blockBytes);
  const set = createChunkSet(blockCount, blockCount);
  const words = new Uint32Array(2 * COLUMN_BLOCKS);

  /** All of the words from `from` on; those that are marked already are passed over. */
  function addFrom(from: number, count: number): void {
    for (let at = from; at < count; at++) {
      const column = { words, firstWord: 2 * at, strideWords: 2, count: count - at };
      at += set.add(column);
    }
  }

  return {
    mark(offset, length) {
      const end = Math.ceil((offset + length) / blockBytes);
      let block = Math.floor(offset / blockBytes);
      while (block < end) {
        const count = Math.min(COLUMN_BLOCKS, end - block);
        for (let i = 0; i < count; i++) {
          words[2 * i] = (block + i) >>> 0;
          words[2 * i + 1] = Math.floor((block + i) / 2 ** 32);
        }
        addFrom(0, count);
        block += count;
      }
    },
    toExtents: () => set.toExtents(blockBytes, volumeBytes),
  };
}
