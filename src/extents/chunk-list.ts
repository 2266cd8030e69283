import type { ChunkSet } from './chunk-set.js';
import type { ExtentSource, Extents } from './extents.js';
import { createSliceBuilder } from './slice-builder.js';

const SLAB_ENTRIES = 2 ** 16;

/** 8 bytes an entry while it grows, 16 for the moment in which the slabs become one sorted array. */
export function createChunkList(): ChunkSet {
  const slabs: Float64Array[] = [];
  let slab = new Float64Array(0);
  let used = 0;
  let size = 0;
  let sorted: Float64Array | undefined;

  function sort(): Float64Array {
    sorted ??= joinSlabs(slabs, size).sort();
    return sorted;
  }

  function add(chunk: number): boolean {
    if (used === slab.length) {
      slab = new Float64Array(SLAB_ENTRIES);
      slabs.push(slab);
      used = 0;
    }
    slab[used++] = chunk;
    size++;
    return true;
  }

  function addSome(chunks: Float64Array | Uint32Array, count: number): number {
    for (let index = 0; index < count; index++) add(chunks[index]!);
    return count;
  }

  return {
    add,
    addSome,
    addSomeNarrow: addSome,
    addRun(first, count) {
      for (let index = 0; index < count; index++) add(first + index);
      return true;
    },
    findDuplicate() {
      const chunks = sort();
      return chunks.find((chunk, index) => index > 0 && chunk === chunks[index - 1]);
    },
    toExtents: async (chunkBytes, volumeBytes) => listExtents(sort(), chunkBytes, volumeBytes),
  };
}

/** One array of the first `size` entries; empties `slabs`. */
function joinSlabs(slabs: Float64Array[], size: number): Float64Array {
  const joined = new Float64Array(size);
  for (const [index, slab] of slabs.entries()) {
    const start = index * SLAB_ENTRIES;
    joined.set(slab.subarray(0, size - start), start);
  }
  slabs.length = 0;
  return joined;
}

function listExtents(chunks: Float64Array, chunkBytes: number, volumeBytes: number): ExtentSource {
  let extentCount = 0;
  let runEnd = -1;
  for (const chunk of chunks) {
    if (chunk !== runEnd) extentCount++;
    runEnd = chunk + 1;
  }
  const lastEnd = chunks.length === 0 ? 0 : (chunks.at(-1)! + 1) * chunkBytes;
  return {
    totalBytes: chunks.length * chunkBytes - Math.max(0, lastEnd - volumeBytes),
    extentCount,
    slices: () => listSlices(chunks, chunkBytes, volumeBytes),
  };
}

function* listSlices(
  chunks: Float64Array,
  chunkBytes: number,
  volumeBytes: number,
): Generator<Extents> {
  const builder = createSliceBuilder(chunkBytes, volumeBytes);
  let next = 0;
  while (next < chunks.length) {
    const runStart = chunks[next]!;
    let runEnd = runStart;
    while (chunks[next] === runEnd) {
      next++;
      runEnd++;
    }
    builder.add(runStart, runEnd);
    if (builder.isFull()) yield builder.take();
  }
  if (!builder.isEmpty()) yield builder.take();
}
