import { execFileSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadEngine } from '#lvmsync/block/engines.js';
import { createChunkSet } from '#lvmsync/extents/chunk-set.js';
import { readExceptions } from '#lvmsync/lvm/exception-store.js';
import { addEntries } from '#lvmsync/lvm/store-entries.js';
import { areaChunk, dataChunk, entriesPerArea, storeBytesFor } from '../support/cow-store.js';

/**
 * How fast the list of exceptions is read and how much memory it takes: a made store with chunks
 * of 4 KiB, scattered over an origin of 400 GiB, each reading in a process of its own.
 */

const CHUNK_BYTES = 4096;
const ORIGIN_BYTES = 400 * 2 ** 30;
const ORIGIN_CHUNKS = ORIGIN_BYTES / CHUNK_BYTES;
/** Odd and no multiple of 5, so every chunk of the origin comes once before one comes twice. */
const SCATTER = 64_808_413;
const COUNTS = [1_000_000, 25_000_000];
const MAX_RSS_BYTES = 512 * 2 ** 20;

interface Result {
  exceptions: number;
  extents: number;
  parseSeconds: number;
  readSeconds: number;
  sliceSeconds: number;
  maxRssBytes: number;
}

function main(): void {
  const [mode, path, engine] = process.argv.slice(2);
  if (mode === '--read' && path !== undefined && (engine === 'native' || engine === 'js')) {
    void read(path, engine);
    return;
  }
  const directory = mkdtempSync(join(tmpdir(), 'lvmsync-bench-'));
  try {
    for (const count of COUNTS) measure(join(directory, 'store.img'), count);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function measure(path: string, count: number): void {
  const { bavail, bsize } = statfsSync(join(path, '..'));
  const neededBytes = count * 16 * 2;
  if (bavail * bsize < neededBytes) {
    throw new Error(`${path} needs ${neededBytes} bytes of disk, ${bavail * bsize} are free`);
  }
  writeSparseStore(path, count);
  for (const engine of ['native', 'js'] as const) {
    const loaded = loadEngine('auto').engine.name;
    if (engine === 'native' && loaded !== 'native') {
      console.log(`${count} exceptions, native: not measured, the addon does not load`);
      continue;
    }
    const output = execFileSync(process.execPath, [import.meta.filename, '--read', path, engine]);
    const result: Result = JSON.parse(output.toString());
    console.log(describe(result, engine));
    if (result.exceptions !== count) throw new Error(`${result.exceptions} exceptions were read`);
    if (result.maxRssBytes > MAX_RSS_BYTES) process.exitCode = 1;
  }
}

function describe(result: Result, engine: string): string {
  const perSecond = (seconds: number) => `${(result.exceptions / seconds / 1e6).toFixed(1)} M/s`;
  return [
    `${result.exceptions} exceptions, ${engine}:`,
    `read in ${result.readSeconds.toFixed(2)} s (${perSecond(result.readSeconds)}),`,
    `parsing alone ${result.parseSeconds.toFixed(2)} s (${perSecond(result.parseSeconds)});`,
    `${result.extents} extents in ${result.sliceSeconds.toFixed(2)} s;`,
    `peak RSS ${(result.maxRssBytes / 2 ** 20).toFixed(0)} MiB`,
  ].join(' ');
}

async function read(path: string, engineName: 'native' | 'js'): Promise<void> {
  const { engine } = loadEngine(engineName);
  const store = await engine.open(path, { mode: 'read' });
  const start = performance.now();
  const found = await readExceptions(store, { engine, originBytes: ORIGIN_BYTES });
  const readDone = performance.now();
  let extents = 0;
  for (const slice of found.slices()) extents += slice.count;
  const slicesDone = performance.now();
  await store.close();
  const result: Result = {
    exceptions: found.exceptionCount,
    extents,
    readSeconds: (readDone - start) / 1000,
    sliceSeconds: (slicesDone - readDone) / 1000,
    maxRssBytes: process.resourceUsage().maxRSS * 1024,
    parseSeconds: parseAgain(found.exceptionCount),
  };
  console.log(JSON.stringify(result));
}

/**
 * Seconds that the same entries take to parse from memory, at the speed of the median batch: the
 * rest is the machine doing other things.
 */
function parseAgain(count: number): number {
  const storeChunks = storeBytesFor(CHUNK_BYTES, count) / CHUNK_BYTES;
  const perArea = entriesPerArea(CHUNK_BYTES);
  const areaCount = Math.ceil(count / perArea);
  const layout = {
    chunkBytes: CHUNK_BYTES,
    storeChunks,
    entriesPerArea: perArea,
    areaCount,
    maxExceptions: areaCount * perArea,
  };
  const checks = {
    layout,
    originChunks: ORIGIN_CHUNKS,
    oldChunks: createChunkSet(ORIGIN_CHUNKS, count),
    newChunks: createChunkSet(storeChunks, count),
  };
  const words = new Uint32Array(4 * 32 * perArea);
  const entryMilliseconds: number[] = [];
  for (let first = 0; first < count; first += words.length / 4) {
    const entries = Math.min(words.length / 4, count - first);
    fillEntries(words, first, entries);
    const start = performance.now();
    const bad = addEntries(checks, words, entries);
    entryMilliseconds.push((performance.now() - start) / entries);
    if (bad) throw new Error(`entry ${first + bad.entry}: ${bad.fault}`);
  }
  entryMilliseconds.sort((left, right) => left - right);
  return (entryMilliseconds[Math.floor(entryMilliseconds.length / 2)]! * count) / 1000;
}

/** Little-endian hosts only, as all that this is measured on. */
function fillEntries(words: Uint32Array, first: number, count: number): void {
  for (let entry = 0; entry < count; entry++) {
    const index = first + entry;
    words[entry * 4] = (index * SCATTER) % ORIGIN_CHUNKS;
    words[entry * 4 + 1] = 0;
    words[entry * 4 + 2] = dataChunk(CHUNK_BYTES, index);
    words[entry * 4 + 3] = 0;
  }
}

/** Only the metadata areas take room on the disk. */
function writeSparseStore(path: string, count: number): void {
  const perArea = entriesPerArea(CHUNK_BYTES);
  const fd = openSync(path, 'w');
  try {
    ftruncateSync(fd, storeBytesFor(CHUNK_BYTES, count) + 2 * CHUNK_BYTES);
    writeSync(fd, Uint32Array.of(0x70416e53, 1, 1, CHUNK_BYTES / 512), 0, 16, 0);
    const words = new Uint32Array(4 * perArea);
    for (let area = 0; area * perArea < count; area++) {
      words.fill(0);
      fillEntries(words, area * perArea, Math.min(perArea, count - area * perArea));
      writeSync(fd, words, 0, words.byteLength, areaChunk(CHUNK_BYTES, area) * CHUNK_BYTES);
    }
  } finally {
    closeSync(fd);
  }
}

main();
