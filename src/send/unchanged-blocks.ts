/** Finds the blocks of changed chunks that are as they were, by the old data in the store. */
import { addPiece, type Batch, createBatch } from '../block/batch.js';
import type { Engine } from '../block/engine.js';
import { offsetsOutside } from '../extents/outside.js';
import type { ExceptionPair } from '../lvm/exception-pairs.js';
import { fitsTable } from '../stream/proto4.js';
import type { ChangeSource } from './change-source.js';
import type { CheckGroup } from './compare.js';

/** The unit of comparing, but for chunks that are smaller. */
const BLOCK_BYTES = 4096;
/** So many are read, compared and asked about at once. */
const GROUP_BLOCKS = 256;
const READS_IN_FLIGHT = 4;

export function comparedBlockBytes({ chunkBytes }: ChangeSource): number {
  return Math.min(BLOCK_BYTES, chunkBytes);
}

export interface UnchangedOptions {
  source: ChangeSource;
  engine: Engine;
  /** Chunks that begin below it are of no interest any more. */
  firstOffset(): number;
  /** Asked again and again: whether to go on. May take its time. */
  goesOn(): Promise<boolean>;
  /** Told how much was compared, and how much of it is as it was. */
  onCompared(comparedBytes: number, equalBytes: number): void;
}

/** A changed chunk, or a part of one, and where its old data is. */
interface Place {
  originOffset: number;
  storeOffset: number;
  length: number;
}

/** Pieces of the data, and of what the store holds for them, at the same positions. */
interface Reading {
  now: Batch;
  before: Batch;
}

/**
 * Runs of unchanged blocks with the hash of each, in the order of the store, as many together as
 * fit in a record.
 *
 * @throws what the engine throws, and STORE_DAMAGED, SNAPSHOT_CHANGED
 */
export async function* unchangedBlocks(options: UnchangedOptions): AsyncGenerator<CheckGroup> {
  const { source, engine, goesOn, onCompared } = options;
  const blockBytes = comparedBlockBytes(source);
  const groupBytes = blockBytes * GROUP_BLOCKS;
  const newBatch = () => createBatch(engine.allocate(groupBytes), GROUP_BLOCKS);
  const free = Array.from(
    { length: READS_IN_FLIGHT },
    (): Reading => ({ now: newBatch(), before: newBatch() }),
  );
  const inFlight: { reading: Reading; isEqual: Promise<Uint8Array> }[] = [];

  async function read({ now, before }: Reading, places: Place[]): Promise<Uint8Array> {
    now.count = 0;
    before.count = 0;
    let end = 0;
    for (const { originOffset, storeOffset, length } of places) {
      addPiece(now, originOffset, length, end);
      addPiece(before, storeOffset, length, end);
      end += length; // only the last can be of less than whole blocks
    }
    await bothRead(source.data.read(now), source.store.read(before));
    const one = now.buffer.subarray(0, end);
    return engine.findEqualBlocks(one, before.buffer.subarray(0, end), blockBytes);
  }

  async function* takeOldest(): AsyncGenerator<CheckGroup> {
    const { reading, isEqual } = inFlight[0]!;
    const runs = runsOf(reading.now, await isEqual, blockBytes);
    inFlight.shift();
    onCompared(sumOf(reading.now), sumOf(runs));
    const hashes = await engine.hashPieces(runs);
    free.push(reading);
    if (runs.count > 0) yield { extents: runs, hashes };
  }

  try {
    for await (const places of placeGroups(options, groupBytes)) {
      const reading = free.pop()!;
      const isEqual = read(reading, places);
      isEqual.catch(() => undefined); // met when its turn comes
      inFlight.push({ reading, isEqual });
      if (free.length === 0) yield* takeOldest();
      if (!(await goesOn())) break;
    }
    while (inFlight.length > 0) yield* takeOldest();
  } finally {
    await Promise.allSettled(inFlight.map(({ isEqual }) => isEqual));
  }
}

/** Neither buffer may be used before both have settled. */
async function bothRead(...reads: Promise<void>[]): Promise<void> {
  await Promise.allSettled(reads);
  await Promise.all(reads);
}

/** Changed chunks, ascending, cut into what is read at once. */
async function* placeGroups(
  { source, firstOffset, goesOn }: UnchangedOptions,
  groupBytes: number,
): AsyncGenerator<Place[]> {
  const { chunkBytes, volumeBytes } = source;
  for await (const pairs of source.pairs(undefined)) {
    if (!(await goesOn())) return;
    let group: Place[] = [];
    let bytes = 0;
    for (const { originOffset, storeOffset } of await withoutDiscarded(source, pairs)) {
      if (originOffset < firstOffset()) continue;
      const end = Math.min(originOffset + chunkBytes, volumeBytes);
      for (let at = originOffset; at < end; at += groupBytes) {
        const length = Math.min(groupBytes, end - at);
        const fits = fitsTable(group[0]?.originOffset ?? at, at);
        if (bytes + length > groupBytes || !fits) {
          yield group;
          group = [];
          bytes = 0;
        }
        group.push({ originOffset: at, storeOffset: storeOffset + at - originOffset, length });
        bytes += length;
      }
    }
    if (group.length > 0) yield group;
  }
}

/** A discard is sent as one, whatever was there before. */
async function withoutDiscarded(
  { discarded }: ChangeSource,
  pairs: ExceptionPair[],
): Promise<ExceptionPair[]> {
  if (discarded === undefined || discarded.extentCount === 0) return pairs;
  const offsets = pairs.map(({ originOffset }) => originOffset);
  const kept = new Set(await offsetsOutside(discarded, offsets));
  return pairs.filter(({ originOffset }) => kept.has(originOffset));
}

function runsOf(now: Batch, isEqual: Uint8Array, blockBytes: number): Batch {
  const runs = createBatch(now.buffer, GROUP_BLOCKS);
  for (let i = 0; i < now.count; i++) {
    for (let done = 0; done < now.lengths[i]!; done += blockBytes) {
      const position = now.positions[i]! + done;
      if (isEqual[position / blockBytes] === 0) continue;
      const length = Math.min(blockBytes, now.lengths[i]! - done);
      appendRun(runs, now.offsets[i]! + done, length, position);
    }
  }
  return runs;
}

/** Adds a block behind the last run, or to it where the two touch. */
function appendRun(runs: Batch, offset: number, length: number, position: number): void {
  const last = runs.count - 1;
  const touches =
    last >= 0 &&
    runs.offsets[last]! + runs.lengths[last]! === offset &&
    runs.positions[last]! + runs.lengths[last]! === position;
  if (touches) runs.lengths[last]! += length;
  else addPiece(runs, offset, length, position);
}

function sumOf({ count, lengths }: Batch): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += lengths[i]!;
  return sum;
}
