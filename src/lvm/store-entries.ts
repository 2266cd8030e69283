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
export const ENTRY_WORDS = 4;
const OLD_WORD = 0;
const NEW_WORD = 2;
const HIGH_WORD = 2 ** 32;
const MAX_WORD = HIGH_WORD - 1;

/** The list ends at the first entry that points at the store's chunk 0, its header. */
export function countEntries(words: Uint32Array, maxEntries: number): number {
  for (let entry = 0; entry < maxEntries; entry++) {
    const word = entry * ENTRY_WORDS;
    if (words[word + 2] === 0 && words[word + 3] === 0) return entry;
  }
  return maxEntries;
}

/** Adds the first `count` entries to the sets; stops when one is bad. */
export function addEntries(
  checks: EntryChecks,
  words: Uint32Array,
  count: number,
): BadEntry | undefined {
  const outside = findOutside(checks, words, count);
  if (outside) return outside;
  const column = { words, strideWords: ENTRY_WORDS, count };
  const oldAdded = checks.oldChunks.add({ ...column, firstWord: OLD_WORD });
  if (oldAdded < count) {
    return { entry: oldAdded, fault: 'old-twice', chunk: chunkAt(words, oldAdded, OLD_WORD) };
  }
  const newAdded = checks.newChunks.add({ ...column, firstWord: NEW_WORD });
  if (newAdded < count) {
    return { entry: newAdded, fault: 'new-twice', chunk: chunkAt(words, newAdded, NEW_WORD) };
  }
  return undefined;
}

function findOutside(checks: EntryChecks, words: Uint32Array, count: number): BadEntry | undefined {
  const oldEnd = Math.min(checks.originChunks, MAX_WORD) >>> 0;
  // The data chunks of one area, as far as the store goes: neighbours are nearly always in one.
  let newStart = 0;
  let newEnd = 0;
  const end = count * ENTRY_WORDS;
  for (let word = 0; word < end; word += ENTRY_WORDS) {
    const newLow = words[word + NEW_WORD]!;
    const isNarrow = (words[word + OLD_WORD + 1]! | words[word + NEW_WORD + 1]!) === 0;
    const isInside = words[word + OLD_WORD]! < oldEnd && newLow >= newStart && newLow < newEnd;
    if (isNarrow && isInside) continue;
    const bad = checkEntry(checks, words, word / ENTRY_WORDS);
    if (bad) return bad;
    const { storeChunks, entriesPerArea } = checks.layout;
    const areaStride = entriesPerArea + 1;
    const area = Math.floor((chunkAt(words, word / ENTRY_WORDS, NEW_WORD) - 1) / areaStride);
    const firstData = 2 + area * areaStride;
    newStart = Math.min(firstData, MAX_WORD) >>> 0;
    newEnd = Math.min(firstData + entriesPerArea, storeChunks, MAX_WORD) >>> 0;
  }
  return undefined;
}

function checkEntry(
  { originChunks, layout }: EntryChecks,
  words: Uint32Array,
  entry: number,
): BadEntry | undefined {
  const old = chunkAt(words, entry, OLD_WORD);
  if (old >= originChunks) return { entry, fault: 'old-outside', chunk: old };
  const stored = chunkAt(words, entry, NEW_WORD);
  if (stored >= layout.storeChunks) return { entry, fault: 'new-outside', chunk: stored };
  const areaStride = layout.entriesPerArea + 1;
  if (stored % areaStride === 1) return { entry, fault: 'new-is-metadata', chunk: stored };
  return undefined;
}

function chunkAt(words: Uint32Array, entry: number, firstWord: number): number {
  const word = entry * ENTRY_WORDS + firstWord;
  return words[word + 1]! * HIGH_WORD + words[word]!;
}

/** The first entry from `start` to before `count` that has `chunk` as its old or new chunk, or -1. */
export function findEntry(
  words: Uint32Array,
  start: number,
  count: number,
  which: 'old' | 'new',
  chunk: number,
): number {
  const firstWord = which === 'old' ? OLD_WORD : NEW_WORD;
  for (let entry = start; entry < count; entry++) {
    if (chunkAt(words, entry, firstWord) === chunk) return entry;
  }
  return -1;
}
