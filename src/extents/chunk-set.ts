import { createChunkBitmap } from './chunk-bitmap.js';
import { createChunkList } from './chunk-list.js';
import type { ExtentSource } from './extents.js';

/**
 * Chunk numbers among other words, as a store's entries hold them: each is a low word and the high
 * word after it, and they lie `strideWords` apart. One call takes thousands, because a call for
 * each, or 64-bit numbers, would cost more than all the rest.
 */
export interface ChunkColumn {
  words: Uint32Array;
  /** Index of the first chunk number's low word. */
  firstWord: number;
  strideWords: number;
  count: number;
}

/** A set of chunk numbers, filled in any order, that ends as sorted and joined extents. */
export interface ChunkSet {
  /**
   * Adds chunk numbers below the set's limit, up to the first that was there already, if the set
   * can tell at once.
   *
   * @returns how many were added
   */
  add(column: ChunkColumn): number;
  /** A chunk that was added twice without `add` noticing, if there is one. */
  findDuplicate(): number | undefined;
  /** The chunks as byte ranges of a volume of `volumeBytes`: its last chunk may be partial. */
  toExtents(chunkBytes: number, volumeBytes: number): Promise<ExtentSource>;
}

/** A bitmap of this size is always taken: memory that is never touched costs nothing. */
const BITMAP_ALWAYS_BYTES = 64 * 2 ** 20;
/** The longest Uint32Array of Node 20. */
const BITMAP_MAX_BYTES = 2 ** 33;
const LIST_ENTRY_BYTES = 8;

/**
 * A set of chunk numbers below `chunkLimit` that will get at most `maxChunks` of them: a bitmap,
 * or a list where few chunks may come out of so many that a bitmap would be larger.
 */
export function createChunkSet(chunkLimit: number, maxChunks: number): ChunkSet {
  const bitmapBytes = Math.ceil(chunkLimit / 32) * 4;
  const affordableBytes = Math.max(BITMAP_ALWAYS_BYTES, LIST_ENTRY_BYTES * maxChunks);
  return bitmapBytes <= Math.min(affordableBytes, BITMAP_MAX_BYTES)
    ? createChunkBitmap(chunkLimit)
    : createChunkList();
}
