import { CHUNKS_AT_ONCE } from '../extents/chunk-bitmap.js';
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

/** A bad entry: its index in the words, what is wrong, and the chunk number that is. */
export interface BadEntry {
  entry: number;
  fault: EntryFault;
  chunk: number;
}

/** The entry that ends the list. */
export interface ListEnd {
  entry: number;
  fault: 'none';
}

/** An entry is the origin's chunk and the store's chunk, each a low and a high word. */
export const ENTRY_WORDS = 4;
const OLD_WORD = 0;
const NEW_WORD = 2;
const HIGH_WORD = 2 ** 32;

/** The origin's chunks of ordinary entries that are looked at together. */
const ordinaryOlds = new Uint32Array(CHUNKS_AT_ONCE);
/** The same of entries of any kind, and the store's. */
const anyOlds = new Float64Array(CHUNKS_AT_ONCE);
const anyNews = new Float64Array(CHUNKS_AT_ONCE);

/** The list ends at the first entry that points at the store's chunk 0, its header. */
export function endsList(words: Uint32Array, entry: number): boolean {
  const word = entry * ENTRY_WORDS + NEW_WORD;
  return words[word] === 0 && words[word + 1] === 0;
}

/** How many entries there are up to the end of the list. */
export function countEntries(words: Uint32Array, maxEntries: number): number {
  let count = 0;
  while (count < maxEntries && !endsList(words, count)) count++;
  return count;
}

/** Adds `count` entries from `start` on to the sets, up to the first that is bad or ends the list. */
export function addEntries(
  checks: EntryChecks,
  words: Uint32Array,
  start: number,
  count: number,
): BadEntry | ListEnd | undefined {
  const partEntries = Math.min(CHUNKS_AT_ONCE, checks.layout.entriesPerArea);
  const end = start + count;
  for (let first = start; first < end; first += partEntries) {
    const stop = addPart(checks, words, first, Math.min(first + partEntries, end));
    if (stop) return stop;
  }
  return undefined;
}

function addPart(
  checks: EntryChecks,
  words: Uint32Array,
  start: number,
  end: number,
): BadEntry | ListEnd | undefined {
  const { oldChunks, newChunks } = checks;
  const firstNew = takeOrdinary(checks, words, start, end);
  if (firstNew === 0 || !newChunks.addRun(firstNew, end - start)) {
    return addAny(checks, words, start, end);
  }
  const added = oldChunks.addSomeNarrow(ordinaryOlds, end - start);
  if (added === end - start) return undefined;
  return { entry: start + added, fault: 'old-twice', chunk: ordinaryOlds[added]! };
}

/**
 * Entries as nearly all are: chunk numbers of one word, inside, the store's ascending one by one.
 * All of that in a single look at them, which also leaves the origin's chunks in `ordinaryOlds`.
 *
 * @returns the first chunk of the store, 0 for entries of any other kind
 */
function takeOrdinary(
  { originChunks, layout }: EntryChecks,
  words: Uint32Array,
  start: number,
  end: number,
): number {
  const count = end - start;
  let word = start * ENTRY_WORDS;
  const firstNew = words[word + NEW_WORD]!;
  let unusual = 0;
  let largestOld = 0;
  for (let index = 0; index < count; index++) {
    const old = words[word + OLD_WORD]!;
    ordinaryOlds[index] = old;
    if (old > largestOld) largestOld = old;
    unusual |= words[word + OLD_WORD + 1]! | words[word + NEW_WORD + 1]!;
    unusual |= words[word + NEW_WORD]! ^ (firstNew + index);
    word += ENTRY_WORDS;
  }
  const areaStride = layout.entriesPerArea + 1;
  const place = (firstNew - 1) % areaStride; // in its area's stretch, which begins with metadata
  const isInOneArea = place > 0 && place + count <= areaStride;
  const endOfNew = Math.min(layout.storeChunks, HIGH_WORD);
  const isInside = largestOld < originChunks && firstNew + count <= endOfNew;
  return unusual === 0 && isInOneArea && isInside ? firstNew : 0;
}

/** Large numbers, or chunks of the store in any order: kernels did not always fill it in order. */
function addAny(
  checks: EntryChecks,
  words: Uint32Array,
  start: number,
  end: number,
): BadEntry | ListEnd | undefined {
  const outside = takeAny(checks, words, start, end);
  const count = (outside?.entry ?? end) - start;
  // What is wrong is told of the first entry that is bad, and of its old chunk before its new one.
  const addedOlds = checks.oldChunks.addSome(anyOlds, count);
  const addedNews = checks.newChunks.addSome(anyNews, addedOlds);
  if (addedNews < addedOlds) {
    return { entry: start + addedNews, fault: 'new-twice', chunk: anyNews[addedNews]! };
  }
  if (addedOlds < count) {
    return { entry: start + addedOlds, fault: 'old-twice', chunk: anyOlds[addedOlds]! };
  }
  return outside;
}

/** Leaves in `anyOlds` and `anyNews` what is inside. @returns the first entry that is not, or the end */
function takeAny(
  { originChunks, layout }: EntryChecks,
  words: Uint32Array,
  start: number,
  end: number,
): BadEntry | ListEnd | undefined {
  const { storeChunks } = layout;
  const areaStride = layout.entriesPerArea + 1;
  for (let entry = start; entry < end; entry++) {
    if (endsList(words, entry)) return { entry, fault: 'none' };
    const old = chunkAt(words, entry, OLD_WORD);
    if (old >= originChunks) return { entry, fault: 'old-outside', chunk: old };
    const stored = chunkAt(words, entry, NEW_WORD);
    if (stored >= storeChunks) return { entry, fault: 'new-outside', chunk: stored };
    if (isMetadata(stored, areaStride)) return { entry, fault: 'new-is-metadata', chunk: stored };
    anyOlds[entry - start] = old;
    anyNews[entry - start] = stored;
  }
  return undefined;
}

function isMetadata(chunk: number, areaStride: number): boolean {
  return chunk - Math.floor(chunk / areaStride) * areaStride === 1;
}

function chunkAt(words: Uint32Array, entry: number, firstWord: number): number {
  const word = entry * ENTRY_WORDS + firstWord;
  return words[word + 1]! * HIGH_WORD + words[word]!;
}

/** The first entry from `start` to before `end` that has `chunk` as its old or new chunk, or -1. */
export function findEntry(
  words: Uint32Array,
  start: number,
  end: number,
  which: 'old' | 'new',
  chunk: number,
): number {
  const firstWord = which === 'old' ? OLD_WORD : NEW_WORD;
  for (let entry = start; entry < end; entry++) {
    if (chunkAt(words, entry, firstWord) === chunk) return entry;
  }
  return -1;
}
