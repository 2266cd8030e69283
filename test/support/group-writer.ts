/**
 * A writer to several devices in one order: record after record, each synced before the next, in
 * seeded places. What a copy of the devices holds is of one moment if it is what some number of the
 * first records has left. Run as a program it writes until it is ended: PID-FILE SEED SLOTS
 * DEVICE...
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createRandom, type Random } from './random.js';
import { restAfter } from './rest-after.js';

const RECORD_BYTES = 4096;
/** Keeps records of one run from being taken for those of another, or for what was there before. */
const MAGIC = 0x6c76_6d73;
const PAUSE_MS = 2;

function placeOf(random: Random, deviceCount: number, slots: number) {
  return { device: random.below(deviceCount), slot: random.below(slots) };
}

function recordOf(seed: number, sequence: number): Buffer {
  const record = Buffer.alloc(RECORD_BYTES, sequence & 0xff);
  record.writeUInt32LE(MAGIC, 0);
  record.writeUInt32LE(seed, 4);
  record.writeUInt32LE(sequence, 8);
  return record;
}

async function write(seed: number, slots: number, paths: string[]): Promise<void> {
  const random = createRandom(seed);
  const devices = paths.map((path) => openSync(path, constants.O_WRONLY | constants.O_DSYNC));
  for (let sequence = 1; ; sequence++) {
    const { device, slot } = placeOf(random, paths.length, slots);
    const begun = performance.now();
    writeSync(devices[device]!, recordOf(seed, sequence), 0, RECORD_BYTES, slot * RECORD_BYTES);
    await delay(restAfter(performance.now() - begun, PAUSE_MS));
  }
}

/** Starts it; resolves when it writes. */
export async function startGroupWriter(
  pidFile: string,
  seed: number,
  slots: number,
  paths: readonly string[],
): Promise<ChildProcess> {
  rmSync(pidFile, { force: true });
  const program = fileURLToPath(import.meta.url);
  const writer = spawn(
    process.execPath,
    [program, pidFile, String(seed), String(slots), ...paths],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  while (!existsSync(pidFile)) await delay(10);
  return writer;
}

/**
 * Checks that copies hold what the first so many records have left, and nothing else.
 *
 * @returns how many
 */
export function checkOneMoment(seed: number, slots: number, paths: readonly string[]): number {
  const held = paths.map((path) => readSequences(path, seed, slots));
  const count = Math.max(...held.flat());
  const expected = paths.map(() => new Array<number>(slots).fill(0));
  const random = createRandom(seed);
  for (let sequence = 1; sequence <= count; sequence++) {
    const { device, slot } = placeOf(random, paths.length, slots);
    expected[device]![slot] = sequence;
  }
  for (const [device, sequences] of held.entries()) {
    for (const [slot, sequence] of sequences.entries()) {
      const wanted = expected[device]![slot];
      if (sequence === wanted) continue;
      throw new Error(
        `${paths[device]}, slot ${slot}: record ${sequence} instead of ${wanted}, of ${count}`,
      );
    }
  }
  return count;
}

function readSequences(path: string, seed: number, slots: number): number[] {
  const device = openSync(path, 'r');
  const record = Buffer.alloc(RECORD_BYTES);
  const sequences: number[] = [];
  for (let slot = 0; slot < slots; slot++) {
    readSync(device, record, 0, RECORD_BYTES, slot * RECORD_BYTES);
    const sequence = record.readUInt32LE(8);
    const isRecord = record.equals(recordOf(seed, sequence));
    sequences.push(isRecord ? sequence : 0);
  }
  closeSync(device);
  return sequences;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [pidFile = '', seed, slots, ...paths] = process.argv.slice(2);
  writeFileSync(pidFile, String(process.pid));
  await write(Number(seed), Number(slots), paths);
}
