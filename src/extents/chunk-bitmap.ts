import type { ChunkColumn, ChunkSet } from './chunk-set.js';
import type { ExtentSource, Extents } from './extents.js';
import { createSliceBuilder } from './slice-builder.js';
import { inTurns } from './turns.js';

const WORD_BITS = 32;
/** Words of 32 chunks in 2^32 chunks: what one unit of the high word is worth. */
const WORDS_PER_HIGH = 2 ** 27;
const ALL_ONES = 0xffff_ffff;
/** What is counted in less than a millisecond. */
const COUNTED_WORDS = 2 ** 16;

/** One bit a chunk. The memory comes zeroed from the system, which backs it when it is touched. */
export function createChunkBitmap(chunkLimit: number): ChunkSet {
  const bitmap = new Uint32Array(Math.ceil(chunkLimit / WORD_BITS));
  return {
    add: (column) => addToBitmap(bitmap, column),
    findDuplicate: () => undefined,
    toExtents: (chunkBytes, volumeBytes) => bitmapExtents(bitmap, chunkBytes, volumeBytes),
  };
}

/** The innermost loop of reading a store: about 10 ns a chunk, nearly all of it cache misses. */
function addToBitmap(bitmap: Uint32Array, column: ChunkColumn): number {
  const { words, firstWord, strideWords, count } = column;
  let word = firstWord;
  for (let added = 0; added < count; added++) {
    const low = words[word]!;
    const high = words[word + 1]!;
    const index = high === 0 ? low >>> 5 : high * WORDS_PER_HIGH + (low >>> 5);
    const bits = bitmap[index]!;
    const bit = 1 << (low & 31);
    if ((bits & bit) !== 0) return added;
    bitmap[index] = bits | bit;
    word += strideWords;
  }
  return count;
}

async function bitmapExtents(
  words: Uint32Array,
  chunkBytes: number,
  volumeBytes: number,
): Promise<ExtentSource> {
  const { chunks, runs } = await countRuns(words);
  const lastChunk = Math.ceil(volumeBytes / chunkBytes) - 1;
  const lastIsThere = (words[Math.floor(lastChunk / WORD_BITS)]! & (1 << (lastChunk % 32))) !== 0;
  const beyondEnd = lastIsThere ? (lastChunk + 1) * chunkBytes - volumeBytes : 0;
  return {
    totalBytes: chunks * chunkBytes - beyondEnd,
    extentCount: runs,
    slices: (fromOffset) => bitmapSlices(words, chunkBytes, volumeBytes, fromOffset),
  };
}

/** Number of set bits, and of runs of them. */
async function countRuns(words: Uint32Array): Promise<{ chunks: number; runs: number }> {
  let chunks = 0;
  let runs = 0;
  for await (const part of inTurns(partsOf(words))) {
    const counted = countPart(words, part);
    chunks += counted.chunks;
    runs += counted.runs;
  }
  return { chunks, runs };
}

function* partsOf(words: Uint32Array): Generator<number> {
  for (let start = 0; start < words.length; start += COUNTED_WORDS) yield start;
}

/** A run starts where a bit is set and the one before is not. */
function countPart(words: Uint32Array, start: number): { chunks: number; runs: number } {
  let chunks = 0;
  let runs = 0;
  let bitBefore = start === 0 ? 0 : words[start - 1]! >>> 31;
  const end = Math.min(start + COUNTED_WORDS, words.length);
  for (let index = start; index < end; index++) {
    const word = words[index]!;
    if (word === 0) {
      bitBefore = 0;
      continue;
    }
    chunks += countBits(word);
    runs += countBits(word & ~((word << 1) | bitBefore));
    bitBefore = word >>> 31;
  }
  return { chunks, runs };
}

function countBits(word: number): number {
  let pairs = word - ((word >>> 1) & 0x5555_5555);
  pairs = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333);
  return Math.imul((pairs + (pairs >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

function countTrailingZeros(word: number): number {
  return word === 0 ? WORD_BITS : 31 - Math.clz32(word & -word);
}

/** The last word up to `index` that no run reaches into from the word before. */
function startOfRun(words: Uint32Array, index: number): number {
  let start = Math.min(index, words.length);
  while (start > 0 && words[start - 1]! >>> 31 === 1) start--;
  return start;
}

function* bitmapSlices(
  words: Uint32Array,
  chunkBytes: number,
  volumeBytes: number,
  fromOffset = 0,
): Generator<Extents> {
  const builder = createSliceBuilder(chunkBytes, volumeBytes);
  let runStart = -1;
  for (
    let index = startOfRun(words, Math.floor(fromOffset / chunkBytes / WORD_BITS));
    index < words.length;
    index++
  ) {
    const word = words[index]!;
    if (runStart < 0 ? word === 0 : word === ALL_ONES) continue;
    const firstChunk = index * WORD_BITS;
    let bit = 0;
    while (bit < WORD_BITS) {
      // What is left of the word, turned so that the next change is its lowest set bit.
      const rest = (runStart < 0 ? word : ~word) >>> bit;
      if (rest === 0) break;
      bit += countTrailingZeros(rest);
      if (runStart < 0) {
        runStart = firstChunk + bit;
      } else {
        builder.add(runStart, firstChunk + bit);
        runStart = -1;
      }
    }
    if (builder.isFull()) yield builder.take();
  }
  if (runStart >= 0) builder.add(runStart, words.length * WORD_BITS);
  if (!builder.isEmpty()) yield builder.take();
}
