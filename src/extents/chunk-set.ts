import { createChunkBitmap } from './chunk-bitmap.js';
import { createChunkList } from './chunk-list.js';
import type { ExtentSource } from './extents.js';

/** A set of chunk numbers, filled in any order, that ends as sorted and joined extents. */
export interface ChunkSet {
  /** How many chunks were added, duplicates included. */
  readonly size: number;
  /**
   * Adds the chunk `high * 2^32 + low`; two words, because that is how a store holds it and a
   * 64-bit number would cost more than all the rest. The chunk is below the set's limit.
   *
   * @returns false when the chunk was there already and the set can tell at once
   */
  add(low: number, high: number): boolean;
  /** A chunk that was added twice without `add` noticing, if there is one. */
  findDuplicate(): number | undefined;
  /** The chunks as byte ranges of a volume of `volumeBytes`: the last chunk may be partial. */
  toExtents(chunkBytes: number, volumeBytes: number): ExtentSource;
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
