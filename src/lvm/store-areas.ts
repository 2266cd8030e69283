import { endianness } from 'node:os';
import { addPiece, type Batch, createBatch } from '../block/batch.js';
import type { BlockFile, Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import { countEntries } from './store-entries.js';
import { areaOffset, ENTRY_BYTES, type StoreLayout } from './store-header.js';

/** Entries of neighbouring metadata areas in memory, one after the other. */
export interface AreaRun {
  firstArea: number;
  areaCount: number;
  /** `ENTRY_WORDS` words an entry. Valid until the next run is asked for. */
  words: Uint32Array;
}

export interface ReadAreasOptions {
  engine: Pick<Engine, 'allocate'>;
  signal?: AbortSignal | undefined;
}

const MAX_AREAS_PER_BATCH = 128;
const BATCH_BYTES = 2 ** 20;
/** One batch is parsed while the others are being read: with fewer the disk runs dry meanwhile. */
const MIN_BATCHES = 6;
/** What is read ahead in a large store: the disk has work while this thread gets no turn. */
const READ_AHEAD_BYTES = 12 * 2 ** 20;
/** So many areas that were full are worth another batch ahead. */
const FULL_AREAS_PER_BATCH = 4;
const MAX_SETTLING_READS = 10;

interface Reading {
  batch: Batch;
  run: AreaRun;
  done: Promise<void>;
}

/**
 * Reads the areas before `endArea` in order and ahead of the consumer, many at once.
 *
 * @throws LvmsyncError READ_FAILED; INTERRUPTED when the signal is aborted
 */
export async function* readAreas(
  store: BlockFile,
  layout: StoreLayout,
  endArea: number,
  { engine, signal }: ReadAreasOptions,
): AsyncGenerator<AreaRun, void, void> {
  const batchAreas = areasPerBatch(layout);
  const batchBytes = batchAreas * layout.chunkBytes;
  const maxBatches = Math.max(MIN_BATCHES, Math.floor(READ_AHEAD_BYTES / batchBytes));
  const free: Batch[] = [];
  const inFlight: Reading[] = [];
  let batchesMade = 0;
  let next = 0;
  // Most stores are far from full, so the first reads are short, and few.
  let areaCount = 1;
  let areasTaken = 0;

  function mayMakeBatch(): boolean {
    const wanted = MIN_BATCHES + areasTaken / FULL_AREAS_PER_BATCH;
    return batchesMade < Math.min(wanted, maxBatches);
  }

  function newBatch(): Batch {
    batchesMade++;
    return createBatch(engine.allocate(batchBytes), batchAreas);
  }

  try {
    while (next < endArea || inFlight.length > 0) {
      throwIfAborted(signal, store);
      while (next < endArea && (free.length > 0 || mayMakeBatch())) {
        const count = Math.min(areaCount, endArea - next);
        inFlight.push(startReading(store, layout, free.pop() ?? newBatch(), next, count));
        next += count;
        areaCount = Math.min(areaCount * 2, batchAreas);
      }
      const { batch, run, done } = inFlight[0]!;
      await done;
      inFlight.shift();
      swapOnBigEndian(run.words);
      yield run;
      areasTaken += run.areaCount;
      free.push(batch);
    }
  } finally {
    await Promise.allSettled(inFlight.map((reading) => reading.done));
  }
}

function startReading(
  store: BlockFile,
  layout: StoreLayout,
  batch: Batch,
  firstArea: number,
  areaCount: number,
): Reading {
  batch.count = 0;
  for (let index = 0; index < areaCount; index++) {
    const offset = areaOffset(layout, firstArea + index);
    addPiece(batch, offset, layout.chunkBytes, index * layout.chunkBytes);
  }
  const done = store.read(batch);
  done.catch(() => {}); // it is awaited in its turn, perhaps after another one failed
  const words = wordsOf(batch.buffer, areaCount * layout.chunkBytes);
  return { batch, run: { firstArea, areaCount, words }, done };
}

/**
 * Reads some areas, which ascend, as many at once as `readAreas` does. Each is a run of its own.
 *
 * @throws as `readAreas`
 */
export async function* readSomeAreas(
  store: BlockFile,
  layout: StoreLayout,
  areas: readonly number[],
  { engine, signal }: ReadAreasOptions,
): AsyncGenerator<AreaRun, void, void> {
  const { chunkBytes } = layout;
  const batchAreas = Math.min(areasPerBatch(layout), areas.length);
  const batch = createBatch(engine.allocate(batchAreas * chunkBytes), batchAreas);
  for (let start = 0; start < areas.length; start += batchAreas) {
    throwIfAborted(signal, store);
    const some = areas.slice(start, start + batchAreas);
    batch.count = 0;
    for (const [index, area] of some.entries()) {
      addPiece(batch, areaOffset(layout, area), chunkBytes, index * chunkBytes);
    }
    await store.read(batch);
    for (const [index, firstArea] of some.entries()) {
      const words = wordsOf(batch.buffer.subarray(index * chunkBytes), chunkBytes);
      swapOnBigEndian(words);
      yield { firstArea, areaCount: 1, words };
    }
  }
}

/** An area's entries in memory that will be overwritten by the next area. */
export interface SettledArea {
  words: Uint32Array;
  entryCount: number;
}

/**
 * Reads single areas that the kernel may be writing to: an area is read until two readings agree
 * on the entries of the first.
 */
export function createSettledReader(
  store: BlockFile,
  layout: StoreLayout,
  { engine, signal }: ReadAreasOptions,
): (area: number) => Promise<SettledArea> {
  const { chunkBytes, entriesPerArea } = layout;
  const memory = engine.allocate(2 * chunkBytes);
  const halves = [memory.subarray(0, chunkBytes), memory.subarray(chunkBytes)] as const;
  const batch = createBatch(memory, 1);

  async function read(area: number, half: 0 | 1): Promise<SettledArea> {
    throwIfAborted(signal, store);
    batch.count = 0;
    addPiece(batch, areaOffset(layout, area), chunkBytes, half * chunkBytes);
    await store.read(batch);
    const words = wordsOf(halves[half], chunkBytes);
    swapOnBigEndian(words);
    return { words, entryCount: countEntries(words, entriesPerArea) };
  }

  return async (area) => {
    let half: 0 | 1 = 0;
    let latest = await read(area, half);
    for (let reads = 1; reads < MAX_SETTLING_READS; reads++) {
      const bytes = latest.entryCount * ENTRY_BYTES;
      const earlier = latest;
      half = half === 0 ? 1 : 0;
      latest = await read(area, half);
      if (halves[0].compare(halves[1], 0, bytes, 0, bytes) === 0) return earlier;
    }
    throw changedError(store, `area ${area} changes with every reading`);
  };
}

/** The list of exceptions is not what it was a moment ago, in a way that growing cannot explain. */
export function changedError(store: BlockFile, what: string): LvmsyncError {
  return new LvmsyncError('SNAPSHOT_CHANGED', `${store.path} changed while it was read: ${what}`, {
    path: store.path,
    hint: 'make sure that the snapshot is not being merged or removed, then run it again',
  });
}

function areasPerBatch(layout: StoreLayout): number {
  const fitting = Math.floor(BATCH_BYTES / layout.chunkBytes);
  return Math.min(Math.max(1, fitting), MAX_AREAS_PER_BATCH, layout.areaCount);
}

function wordsOf(buffer: Buffer, bytes: number): Uint32Array {
  return new Uint32Array(buffer.buffer, buffer.byteOffset, bytes / 4);
}

/** The store is little-endian whatever the machine. */
function swapOnBigEndian(words: Uint32Array): void {
  if (endianness() === 'LE') return;
  Buffer.from(words.buffer, words.byteOffset, words.byteLength).swap32();
}

function throwIfAborted(signal: AbortSignal | undefined, store: BlockFile): void {
  if (!signal?.aborted) return;
  if (signal.reason instanceof LvmsyncError) throw signal.reason;
  throw new LvmsyncError('INTERRUPTED', `interrupted while reading ${store.path}`, {
    path: store.path,
    hint: 'run it again',
    cause: signal.reason,
  });
}
