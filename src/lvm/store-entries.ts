import type { ChunkSet } from '../extents/chunk-set.js';
import type { StoreLayout } from './store-header.js';

/** Which chunks an entry may name, and which were named already. */
export interface EntryChecks {
  layout: StoreLayout;
  /** Chunks of the origin, a partial last one included. */
  originChunks: number;
  /** The origin's chunks so far. */
  oldChunks: ChunkSet;
  /** The store's chunks so far. */
  newChunks: ChunkSet;
}

/** What is wrong with an entry. */
export type EntryFault =
  | 'old-outside'
  | 'new-outside'
  | 'new-is-metadata'
  | 'old-twice'
  | 'new-twice';

/** A bad entry: its index in what was looked at, what is wrong, and the chunk number that is. */
export interface BadEntry {
  entry: number;
  fault: EntryFault;
  chunk: number;
}

/** An entry is the origin's chunk and the store's chunk, each a low and a high word. */
const ENTRY_WORDS = 4;
const HIGH_WORD = 2 ** 32;

/** The list ends at the first entry that points at the store's chunk 0, its header. */
export function countEntries(words: Uint32Array, maxEntries: number): number {
  for (let entry = 0; entry < maxEntries; entry++) {
    const word = entry * ENTRY_WORDS;
    if (words[word + 2] === 0 && words[word + 3] === 0) return entry;
  }
  return maxEntries;
}

/**
 * Adds the first `count` entries to the sets, up to the first bad one.
 *
 * Runs once for each of perhaps a hundred million entries, so it works on words and makes nothing.
 */
export function addEntries(
  checks: EntryChecks,
  words: Uint32Array,
  count: number,
): BadEntry | undefined {
  const { originChunks, oldChunks, newChunks } = checks;
  const { storeChunks, entriesPerArea } = checks.layout;
  const areaStride = (entriesPerArea + 1) >>> 0;
  for (let entry = 0; entry < count; entry++) {
    const word = entry * ENTRY_WORDS;
    const oldLow = words[word]!;
    const oldHigh = words[word + 1]!;
    const newLow = words[word + 2]!;
    const newHigh = words[word + 3]!;
    const old = oldHigh * HIGH_WORD + oldLow;
    if (old >= originChunks) return { entry, fault: 'old-outside', chunk: old };
    const stored = newHigh * HIGH_WORD + newLow;
    if (stored >= storeChunks) return { entry, fault: 'new-outside', chunk: stored };
    const placeInStride = newHigh === 0 ? newLow % areaStride : stored % areaStride;
    if (placeInStride === 1) return { entry, fault: 'new-is-metadata', chunk: stored };
    if (!oldChunks.add(oldLow, oldHigh)) return { entry, fault: 'old-twice', chunk: old };
    if (!newChunks.add(newLow, newHigh)) return { entry, fault: 'new-twice', chunk: stored };
  }
  return undefined;
}

/** The first entry from `start` to before `count` with `chunk` as its old or new chunk, or -1. */
export function findEntry(
  words: Uint32Array,
  start: number,
  count: number,
  which: 'old' | 'new',
  chunk: number,
): number {
  const low = chunk % HIGH_WORD;
  const high = Math.floor(chunk / HIGH_WORD);
  const lowWord = which === 'old' ? 0 : 2;
  for (let entry = start; entry < count; entry++) {
    const word = entry * ENTRY_WORDS + lowWord;
    if (words[word] === low && words[word + 1] === high) return entry;
  }
  return -1;
}
