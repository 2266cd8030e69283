import type { BlockFile, Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import { createChunkSet } from '../extents/chunk-set.js';
import type { ExtentSource } from '../extents/extents.js';
import { isTurnOver, nextTurn } from '../extents/turns.js';
import { changedError, createSettledReader, readAreas } from './store-areas.js';
import { damageError } from './store-damage.js';
import { addEntries, countEntries, ENTRY_WORDS, findEntry } from './store-entries.js';
import { readStoreHeader, type StoreLayout } from './store-header.js';

/** The chunks of an origin that a snapshot has exceptions for, as extents of the origin. */
export interface Exceptions extends ExtentSource {
  readonly chunkBytes: number;
  readonly exceptionCount: number;
}

export interface ReadExceptionsOptions {
  /** Size of the origin: its last chunk is clipped to that. */
  originBytes: number;
  /** For aligned buffers. */
  engine: Pick<Engine, 'allocate'>;
  /**
   * How many exceptions the store of an active snapshot holds according to `dmsetup status`. It
   * says how far may be read ahead: the kernel clears an area only when the one before it gets
   * full, so an area of a store in use that is read too early shows what was there long ago.
   * Without it, a device is read area by area; a file is taken to be at rest.
   */
  exceptionCount?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** What a store says of itself. */
export interface StoreState {
  /** False once the store overflowed or failed: the kernel has given its contents up. */
  valid: boolean;
  exceptionCount: number;
}

export interface ReadStoreStateOptions {
  engine: Pick<Engine, 'allocate'>;
  /** A count that was right before: only the end of the list is read. */
  exceptionCount: number;
  signal?: AbortSignal | undefined;
}

/**
 * Between two looks at the clock: while memory is first written to, they take two milliseconds;
 * later, ten microseconds.
 */
export const ENTRIES_AT_ONCE = 512;
/** The status also counts chunks that are allocated but whose entries are not on disk yet. */
const MAX_PENDING_EXCEPTIONS = 2 ** 16;

/**
 * Reads the exceptions in a persistent exception store, past the page cache. Of a store in use it
 * returns all that had been committed before the call; `readStoreState` tells whether more came.
 *
 * @throws LvmsyncError STORE_NOT_A_STORE, also for a store that no snapshot ever used;
 *   SNAPSHOT_INVALID; STORE_DAMAGED naming area, entry and value; SNAPSHOT_CHANGED when an area
 *   does not settle; SNAPSHOT_UNSUPPORTED; READ_FAILED; INTERRUPTED
 */
export async function readExceptions(
  store: BlockFile,
  options: ReadExceptionsOptions,
): Promise<Exceptions> {
  const { valid, layout } = await readStoreHeader(store, options.engine);
  if (!valid) throw invalidError(store);

  const originChunks = Math.ceil(options.originBytes / layout.chunkBytes);
  const oldChunks = createChunkSet(originChunks, layout.maxExceptions);
  const newChunks = createChunkSet(layout.storeChunks, layout.maxExceptions);
  const checks = { layout, originChunks, oldChunks, newChunks };

  let exceptionCount = 0;
  for await (const run of readEntries(store, layout, options)) {
    for (let start = 0; start < run.entryCount; start += ENTRIES_AT_ONCE) {
      if (isTurnOver()) await nextTurn();
      const { words, entryCount } = partOf(run, start, ENTRIES_AT_ONCE);
      const bad = addEntries(checks, words, entryCount);
      if (bad?.fault === 'old-twice') throw await duplicateError('old', bad.chunk);
      if (bad?.fault === 'new-twice') throw await duplicateError('new', bad.chunk);
      if (bad) throw damageError(store, checks, { ...bad, index: exceptionCount + bad.entry });
      exceptionCount += entryCount;
    }
  }
  const oldTwice = oldChunks.findDuplicate();
  if (oldTwice !== undefined) throw await duplicateError('old', oldTwice);
  const newTwice = newChunks.findDuplicate();
  if (newTwice !== undefined) throw await duplicateError('new', newTwice);

  return {
    ...(await oldChunks.toExtents(layout.chunkBytes, options.originBytes)),
    chunkBytes: layout.chunkBytes,
    exceptionCount,
  };

  async function duplicateError(which: 'old' | 'new', chunk: number): Promise<LvmsyncError> {
    const [firstIndex, index] = await findTwo(store, layout, options, which, chunk);
    if (index === undefined) return changedError(store, `chunk ${chunk} was in its list twice`);
    const fault = which === 'old' ? 'old-twice' : 'new-twice';
    return damageError(store, checks, { fault, chunk, index, firstIndex });
  }
}

/**
 * Reads the header and the end of the list again, cheaply. Compare both with what was there
 * before: a store that grew or became invalid has changes that were not seen.
 *
 * @throws LvmsyncError as `readExceptions`, but an invalid store is an answer
 */
export async function readStoreState(
  store: BlockFile,
  options: ReadStoreStateOptions,
): Promise<StoreState> {
  const { valid, layout } = await readStoreHeader(store, options.engine);
  const lastArea = Math.ceil(options.exceptionCount / layout.entriesPerArea) - 1;
  const firstArea = Math.max(0, Math.min(lastArea, layout.areaCount - 1));
  let exceptionCount = firstArea * layout.entriesPerArea;
  for await (const { entryCount } of readTail(store, layout, firstArea, options)) {
    exceptionCount += entryCount;
  }
  return { valid, exceptionCount };
}

/** Entries in the order of the list, in memory that the next ones will overwrite. */
interface EntryRun {
  words: Uint32Array;
  entryCount: number;
}

function partOf({ words, entryCount }: EntryRun, start: number, maxEntries: number): EntryRun {
  const end = Math.min(start + maxEntries, entryCount);
  return {
    words: words.subarray(start * ENTRY_WORDS, end * ENTRY_WORDS),
    entryCount: end - start,
  };
}

/** All entries, up to the end of the list or of the store: full areas read ahead, then the tail. */
async function* readEntries(
  store: BlockFile,
  layout: StoreLayout,
  options: ReadExceptionsOptions,
): AsyncGenerator<EntryRun, void, void> {
  let area = 0;
  for await (const run of readAreas(store, layout, readAheadEnd(store, layout, options), options)) {
    const allEntries = run.areaCount * layout.entriesPerArea;
    const entryCount = countEntries(run.words, allEntries);
    const fullAreas = Math.floor(entryCount / layout.entriesPerArea);
    if (fullAreas > 0) {
      yield { words: run.words, entryCount: fullAreas * layout.entriesPerArea };
      area += fullAreas;
    }
    if (entryCount < allEntries) break;
  }
  yield* readTail(store, layout, area, options);
}

/** The entries from an area on, reading it only after the one before was seen to be full. */
async function* readTail(
  store: BlockFile,
  layout: StoreLayout,
  firstArea: number,
  options: Pick<ReadExceptionsOptions, 'engine' | 'signal'>,
): AsyncGenerator<EntryRun, void, void> {
  const readSettled = createSettledReader(store, layout, options);
  for (let area = firstArea; area < layout.areaCount; area++) {
    const settled = await readSettled(area);
    if (settled.entryCount > 0) yield settled;
    if (settled.entryCount < layout.entriesPerArea) return;
  }
}

/** Areas before this one are full for certain, or at rest. */
function readAheadEnd(
  store: BlockFile,
  layout: StoreLayout,
  { exceptionCount }: ReadExceptionsOptions,
): number {
  if (exceptionCount === undefined) return store.kind === 'file' ? layout.areaCount : 0;
  const committed = Math.max(0, exceptionCount - MAX_PENDING_EXCEPTIONS);
  return Math.min(Math.floor(committed / layout.entriesPerArea), layout.areaCount);
}

/** Indices in the whole list of the first two entries with this chunk, by reading it again. */
async function findTwo(
  store: BlockFile,
  layout: StoreLayout,
  options: ReadExceptionsOptions,
  which: 'old' | 'new',
  chunk: number,
): Promise<number[]> {
  const found: number[] = [];
  let before = 0;
  for await (const { words, entryCount } of readEntries(store, layout, options)) {
    let entry = findEntry(words, 0, entryCount, which, chunk);
    while (entry >= 0) {
      found.push(before + entry);
      if (found.length === 2) return found;
      entry = findEntry(words, entry + 1, entryCount, which, chunk);
    }
    before += entryCount;
  }
  return found;
}

function invalidError(store: BlockFile): LvmsyncError {
  return new LvmsyncError(
    'SNAPSHOT_INVALID',
    `the exception store ${store.path} is marked invalid: its snapshot overflowed or failed`,
    {
      path: store.path,
      offset: 4,
      hint: 'the list of changes is lost: take a new, larger snapshot and copy the whole volume',
    },
  );
}
