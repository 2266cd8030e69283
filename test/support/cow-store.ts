import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import type { Random } from './random.js';

/** The origin's chunk and the store's chunk that holds what it was before. */
export type ExceptionPair = readonly [oldChunk: number, newChunk: number];

export interface StoreHeaderFields {
  magic: number;
  valid: number;
  version: number;
  chunkSectors: number;
}

export interface StorePlan {
  chunkBytes: number;
  storeBytes: number;
  exceptions: readonly ExceptionPair[];
  /** What the data chunks hold: the origin as it was, read at an origin chunk. Default: nothing. */
  oldData?: ((oldChunk: number) => Buffer) | undefined;
  /** Fills the areas after the last one in use with plausible entries of an earlier snapshot. */
  garbage?: Random | undefined;
  header?: Partial<StoreHeaderFields>;
}

export interface RandomStoreOptions {
  chunkBytes: number;
  originBytes: number;
  exceptionCount: number;
  /**
   * `allocation`: the store's chunks in ascending order, as the kernel hands them out.
   * `shuffled`: the same chunks in any order. `scattered`: any data chunks of the store.
   */
  order: 'allocation' | 'shuffled' | 'scattered';
  /** Default: room for half as many exceptions again. */
  storeBytes?: number;
}

const ENTRY_BYTES = 16;
const MAGIC = 0x70416e53;

export function entriesPerArea(chunkBytes: number): number {
  return chunkBytes / ENTRY_BYTES;
}

/** Chunk number of metadata area `area`. */
export function areaChunk(chunkBytes: number, area: number): number {
  return 1 + area * (entriesPerArea(chunkBytes) + 1);
}

/** The store's data chunk with this index: 2, 3, ... without the metadata areas. */
export function dataChunk(chunkBytes: number, index: number): number {
  return 2 + index + Math.floor(index / entriesPerArea(chunkBytes));
}

/** Smallest store with room for so many exceptions. */
export function storeBytesFor(chunkBytes: number, exceptionCount: number): number {
  return (dataChunk(chunkBytes, Math.max(1, exceptionCount) - 1) + 1) * chunkBytes;
}

/** A store of distinct chunks of the origin, chosen by `random`; garbage after its end. */
export function planRandomStore(random: Random, options: RandomStoreOptions): StorePlan {
  const { chunkBytes, originBytes, exceptionCount, order } = options;
  const originChunks = Math.ceil(originBytes / chunkBytes);
  const storeBytes = options.storeBytes ?? storeBytesFor(chunkBytes, exceptionCount * 1.5 + 1);
  const storeChunks = Math.floor(storeBytes / chunkBytes);
  const areas = Math.ceil((storeChunks - 1) / (entriesPerArea(chunkBytes) + 1));
  const room = storeChunks - 1 - areas;
  if (exceptionCount > Math.min(originChunks, room)) throw new RangeError('too many exceptions');

  const oldChunks = pickDistinct(random, originChunks, exceptionCount);
  const dataIndices =
    order === 'scattered'
      ? pickDistinct(random, room, exceptionCount)
      : [...Array(exceptionCount).keys()];
  if (order === 'shuffled') random.shuffle(dataIndices);
  const exceptions = oldChunks.map(
    (old, index): ExceptionPair => [old, dataChunk(chunkBytes, dataIndices[index]!)],
  );
  return { chunkBytes, storeBytes, exceptions, garbage: random };
}

/** Distinct numbers below `limit`, in random order, with runs among them as real writes make. */
function pickDistinct(random: Random, limit: number, count: number): number[] {
  if (count * 4 > limit) return random.shuffle([...Array(limit).keys()]).slice(0, count);
  const chosen = new Set<number>();
  while (chosen.size < count) {
    const start = random.below(limit);
    const run = random.chance(0.3) ? 1 + random.below(20) : 1;
    for (let chunk = start; chunk < start + run && chunk < limit; chunk++) {
      if (chosen.size < count) chosen.add(chunk);
    }
  }
  return [...chosen];
}

/** Writes the store as a sparse file, replacing what is at `path`. */
export function writeStore(path: string, plan: StorePlan): void {
  const { chunkBytes, storeBytes, exceptions } = plan;
  const fd = openSync(path, 'w');
  try {
    ftruncateSync(fd, storeBytes);
    writeSync(fd, encodeHeader({ chunkSectors: chunkBytes / 512, ...plan.header }), 0, 16, 0);
    const perArea = entriesPerArea(chunkBytes);
    for (let area = 0; area * perArea < exceptions.length; area++) {
      const entries = exceptions.slice(area * perArea, (area + 1) * perArea);
      writeArea(fd, chunkBytes, area, entries);
    }
    if (plan.garbage) writeGarbage(fd, plan, plan.garbage);
    if (plan.oldData) {
      for (const [old, stored] of exceptions) {
        const data = plan.oldData(old);
        writeSync(fd, data, 0, data.length, stored * chunkBytes);
      }
    }
  } finally {
    closeSync(fd);
  }
}

/** Overwrites one entry, whether it makes sense or not. */
export function setEntry(path: string, chunkBytes: number, index: number, pair: ExceptionPair) {
  const perArea = entriesPerArea(chunkBytes);
  const area = Math.floor(index / perArea);
  const offset = areaChunk(chunkBytes, area) * chunkBytes + (index % perArea) * ENTRY_BYTES;
  patch(path, encodeEntries([pair]), offset);
}

/** Overwrites the header; fields that are not given are those of a sound store. */
export function setHeader(path: string, header: Partial<StoreHeaderFields>): void {
  patch(path, encodeHeader(header), 0);
}

export function patch(path: string, bytes: Buffer, offset: number): void {
  const fd = openSync(path, 'r+');
  try {
    writeSync(fd, bytes, 0, bytes.length, offset);
  } finally {
    closeSync(fd);
  }
}

export function encodeEntries(pairs: readonly ExceptionPair[]): Buffer {
  const bytes = Buffer.alloc(pairs.length * ENTRY_BYTES);
  for (const [index, [old, stored]] of pairs.entries()) {
    bytes.writeBigUInt64LE(BigInt(old), index * ENTRY_BYTES);
    bytes.writeBigUInt64LE(BigInt(stored), index * ENTRY_BYTES + 8);
  }
  return bytes;
}

function encodeHeader(fields: Partial<StoreHeaderFields>): Buffer {
  const { magic, valid, version, chunkSectors } = {
    magic: MAGIC,
    valid: 1,
    version: 1,
    chunkSectors: 8,
    ...fields,
  };
  const bytes = Buffer.alloc(16);
  for (const [index, field] of [magic, valid, version, chunkSectors].entries()) {
    bytes.writeUInt32LE(field, index * 4);
  }
  return bytes;
}

function writeArea(fd: number, chunkBytes: number, area: number, pairs: readonly ExceptionPair[]) {
  const bytes = encodeEntries(pairs);
  writeSync(fd, bytes, 0, bytes.length, areaChunk(chunkBytes, area) * chunkBytes);
}

/** The kernel clears an area just before it comes into use; what lies behind is never cleared. */
function writeGarbage(
  fd: number,
  { chunkBytes, storeBytes, exceptions }: StorePlan,
  random: Random,
) {
  const perArea = entriesPerArea(chunkBytes);
  const storeChunks = Math.floor(storeBytes / chunkBytes);
  const firstUnused = Math.floor(exceptions.length / perArea) + 1;
  for (let area = firstUnused; area < firstUnused + 3; area++) {
    if (areaChunk(chunkBytes, area) >= storeChunks) return;
    const pairs = Array.from({ length: perArea }, (_, entry): ExceptionPair => {
      return [random.below(1000), dataChunk(chunkBytes, (area * perArea + entry) % storeChunks)];
    });
    writeArea(fd, chunkBytes, area, pairs);
  }
}
