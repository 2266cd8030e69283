import type { BlockFile, Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import { createChunkSet } from '../extents/chunk-set.js';
import type { ExtentSource } from '../extents/extents.js';
import { isTurnOver, nextTurn } from '../extents/turns.js';
import { changedError, createSettledReader, readAreas, type SettledArea } from './store-areas.js';
import { damageError } from './store-damage.js';
import { addEntries, endsList, findEntry } from './store-entries.js';
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
  const stop = await lookThrough(store, layout, options, (words, start, count) => {
    const found = addEntries(checks, words, start, count);
    exceptionCount += found === undefined ? count : found.entry - start;
    return found;
  });
  if (stop?.fault === 'old-twice') throw await duplicateError('old', stop.chunk);
  if (stop?.fault === 'new-twice') throw await duplicateError('new', stop.chunk);
  if (stop && stop.fault !== 'none') {
    throw damageError(store, checks, { ...stop, index: exceptionCount });
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

/** Looks at `count` entries from `start` on, in memory that the next ones will overwrite. */
type Look<Found> = (words: Uint32Array, start: number, count: number) => Found | undefined;

/**
 * All entries in the order of the list, until `look` has found something: areas whose last entry is
 * there are read ahead, then the tail, up to the end of the list or of the store. Where the list ends
 * in the middle of an area though the last entry of that is there, `look` has to see to it.
 */
async function lookThrough<Found>(
  store: BlockFile,
  layout: StoreLayout,
  options: ReadExceptionsOptions,
  look: Look<Found>,
): Promise<Found | undefined> {
  const { entriesPerArea } = layout;
  const endArea = readAheadEnd(store, layout, options);
  let fullAreas = 0;
  for await (const { words, areaCount } of readAreas(store, layout, endArea, options)) {
    let full = 0;
    while (full < areaCount && !endsList(words, (full + 1) * entriesPerArea - 1)) full++;
    for (let start = 0; start < full * entriesPerArea; start += ENTRIES_AT_ONCE) {
      if (isTurnOver()) await nextTurn();
      const count = Math.min(ENTRIES_AT_ONCE, full * entriesPerArea - start);
      const found = look(words, start, count);
      if (found !== undefined) return found;
    }
    fullAreas += full;
    if (full < areaCount) break;
  }
  for await (const { words, entryCount } of readTail(store, layout, fullAreas, options)) {
    const found = look(words, 0, entryCount);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The entries from an area on, reading it only after the one before was seen to be full. */
async function* readTail(
  store: BlockFile,
  layout: StoreLayout,
  firstArea: number,
  options: Pick<ReadExceptionsOptions, 'engine' | 'signal'>,
): AsyncGenerator<SettledArea, void, void> {
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
  await lookThrough(store, layout, options, (words, start, count) => {
    const end = start + count;
    let entry = findEntry(words, start, end, which, chunk);
    while (entry >= 0) {
      found.push(before + entry - start);
      entry = findEntry(words, entry + 1, end, which, chunk);
    }
    before += count;
    return found.length < 2 ? undefined : found;
  });
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
