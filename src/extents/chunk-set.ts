import { createChunkBitmap } from './chunk-bitmap.js';
import { createChunkList } from './chunk-list.js';
import type { ExtentSource } from './extents.js';

/** A set of chunk numbers below a limit, filled in any order, that ends as joined extents. */
export interface ChunkSet {
  /** @returns false for a chunk that was there already, if the set can tell at once */
  add(chunk: number): boolean;
  /**
   * The same for the first `count` of some chunks, at most `CHUNKS_AT_ONCE`: a call for each would
   * cost more than all the rest.
   *
   * @returns how many were added before one that was there already
   */
  addSome(chunks: Float64Array, count: number): number;
  /** The same for chunk numbers below 2^32, at half the cost. */
  addSomeNarrow(chunks: Uint32Array, count: number): number;
  /** Adds the `count` chunks from `first` on, or none. @returns as `add`, for any of them */
  addRun(first: number, count: number): boolean;
  /** A chunk that was added twice without being noticed, if there is one. */
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
