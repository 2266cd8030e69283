/**
 * How fast the list of exceptions is read and how much memory it takes: a made store with chunks
 * of 4 KiB, scattered over an origin of 400 GiB, each reading in a process of its own.
 */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, fsyncSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadEngine } from '#lvmsync/block/engines.js';
import { createChunkSet } from '#lvmsync/extents/chunk-set.js';
import { ENTRIES_AT_ONCE, readExceptions } from '#lvmsync/lvm/exception-store.js';
import { addEntries } from '#lvmsync/lvm/store-entries.js';
import { NOT_LONGER_THAN_US } from '../support/command.js';
import { areaChunk, dataChunk, entriesPerArea, storeBytesFor } from '../support/cow-store.js';
import { fioOptions, fioSeconds } from './fio.js';
import { type Row, type ScenarioResult, timeOf } from './results.js';
import { spreadOf } from './stats.js';

const CHUNK_BYTES = 4096;
const ORIGIN_BYTES = 400 * 2 ** 30;
const ORIGIN_CHUNKS = ORIGIN_BYTES / CHUNK_BYTES;
/** Odd and no multiple of 5, so every chunk of the origin comes once before one comes twice. */
const SCATTER = 64_808_413;
const COUNTS = [1_000_000, 25_000_000];
export const METADATA = 'metadata';
const FIO = 'fio';

/** What one reading printed. */
interface Reading {
  exceptions: number;
  parseSeconds: number;
  readSeconds: number;
  maxRssBytes: number;
  heldBytes: number;
}

export interface MetadataOptions {
  directory: string;
  scale: number;
  rounds: number;
  hasFio: boolean;
  say(line: string): void;
}

/** Bytes of disk that the largest store takes. */
export function metadataBytes(scale: number): number {
  return Math.max(...COUNTS) * scale * 16 * 2;
}

export function measureMetadata(options: MetadataOptions): ScenarioResult {
  const { directory, scale, rounds, hasFio, say } = options;
  const rows: Row[] = [];
  const found: Record<string, number[]> = {};
  const note = (what: string, value: number) => {
    found[what] = [...(found[what] ?? []), value];
  };
  const path = join(directory, 'store');
  for (const count of COUNTS.map((whole) => Math.round(whole * scale))) {
    say(`${METADATA}: making a store of ${count} exceptions`);
    writeSparseStore(path, count);
    const millions = `${(count / 1e6).toFixed(count < 1e6 ? 2 : 0)} million`;
    const bytes = count * 16;
    const engines = (['native', 'js'] as const).map((engine): [string, Row] => [
      engine,
      { name: `lvmsync, ${engine}, ${millions}`, bytes, runs: [] },
    ]);
    const fio: Row = { name: `${FIO}, ${millions}`, bytes, runs: [] };
    const besideLoop: Row = { name: `${fio.name}, beside an endless loop`, bytes, runs: [] };
    for (let round = 1; round <= rounds; round++) {
      for (const [engine, row] of engines) {
        const { exceptions, ...reading } = readInChild(path, engine);
        if (exceptions !== count)
          throw new Error(`${exceptions} exceptions were read, not ${count}`);
        row.runs.push({ seconds: reading.readSeconds, rssNear: reading.maxRssBytes });
        note(`${row.name}: parsing alone, million/s`, count / reading.parseSeconds / 1e6);
        note(`${row.name}: held in MiB`, reading.heldBytes / 2 ** 20);
        say(`${METADATA}: round ${round}: ${row.name}: ${timeOf(reading.readSeconds)}`);
      }
      if (!hasFio) continue;
      fio.runs.push({ seconds: scanSeconds(path, count) });
      besideLoop.runs.push({ seconds: besideEndlessLoop(() => scanSeconds(path, count)) });
    }
    rows.push(...engines.map(([, row]) => row), ...(hasFio ? [besideLoop, fio] : []));
    rmSync(path);
  }
  const facts = Object.fromEntries(
    Object.entries(found).map(([what, values]) => [what, spreadOf(values).median]),
  );
  const left = hasFio ? [] : ['fio (fio is not installed)'];
  const reference = rows.at(-1)?.name ?? '';
  const title = 'The list of exceptions of a store: 4 KiB in each 1028 KiB of it';
  return { name: METADATA, title, reference, rows, left, facts };
}

function readInChild(path: string, engine: string): Reading {
  const script = fileURLToPath(import.meta.url);
  return JSON.parse(execFileSync(process.execPath, [script, '--read', path, engine]).toString());
}

/** The same areas, read by who does nothing else. */
function scanSeconds(path: string, count: number): number {
  const perArea = entriesPerArea(CHUNK_BYTES);
  const options = [
    '--name=scan',
    `--filename=${path}`,
    `--rw=read:${perArea * (CHUNK_BYTES / 1024)}k`,
    `--offset=${CHUNK_BYTES}`,
    `--io_size=${Math.ceil(count / perArea) * CHUNK_BYTES}`,
  ];
  return fioSeconds(execFileSync('fio', [...options, ...fioOptions('4k', 64)]).toString());
}

/** Parsing keeps a core busy, too, which a disk's host may have no other one for. */
function besideEndlessLoop<T>(work: () => T): T {
  const [program, ...args] = [...NOT_LONGER_THAN_US, 'sh', '-c', 'while :; do :; done'];
  const child = spawn(program, args, { stdio: 'ignore' });
  try {
    return work();
  } finally {
    child.kill('SIGKILL');
  }
}

async function read(path: string, engineName: 'native' | 'js'): Promise<void> {
  const { engine } = loadEngine(engineName);
  const store = await engine.open(path, { mode: 'read' });
  const start = performance.now();
  const found = await readExceptions(store, { engine, originBytes: ORIGIN_BYTES });
  const readDone = performance.now();
  const heldBytes = process.memoryUsage().arrayBuffers;
  await store.close();
  const result: Reading = {
    exceptions: found.exceptionCount,
    readSeconds: (readDone - start) / 1000,
    heldBytes,
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
    for (let taken = 0; taken < entries; taken += ENTRIES_AT_ONCE) {
      const some = Math.min(ENTRIES_AT_ONCE, entries - taken);
      const bad = addEntries(checks, words, taken, some);
      if (bad) throw new Error(`entry ${first + bad.entry}: ${bad.fault}`);
    }
    entryMilliseconds.push((performance.now() - start) / entries);
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
    fsyncSync(fd); // or the first to read it writes it, too
  } finally {
    closeSync(fd);
  }
}

const [mode, path, engine] = process.argv.slice(2);
if (mode === '--read' && path !== undefined && (engine === 'native' || engine === 'js')) {
  await read(path, engine);
}
