/**
 * What a database does, as far as a copy can tell: records with checksums, each written to a slot of
 * one file and synced before the next, and a list of those that were acknowledged. Run as a program
 * it writes until it is ended: FILE SLOTS ACKNOWLEDGED SEED.
 */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { seededBytes } from './devices.js';
import { createRandom } from './random.js';
import { restAfter } from './rest-after.js';

const RECORD_BYTES = 4096;
const DIGEST_BYTES = 32;
const PAUSE_MS = 5;

function recordOf(seed: number, sequence: number): Buffer {
  const record = seededBytes(seed, sequence, RECORD_BYTES);
  record.writeUInt32LE(sequence, 0);
  const body = record.subarray(0, RECORD_BYTES - DIGEST_BYTES);
  createHash('sha256').update(body).digest().copy(record, body.length);
  return record;
}

async function write(file: string, slots: number, list: string, seed: number): Promise<void> {
  const random = createRandom(seed);
  const data = openSync(file, 'r+');
  const acknowledged = openSync(list, 'a');
  for (let sequence = 1; ; sequence++) {
    const slot = random.below(slots);
    const begun = performance.now();
    writeSync(data, recordOf(seed, sequence), 0, RECORD_BYTES, slot * RECORD_BYTES);
    fsyncSync(data);
    writeSync(acknowledged, `${sequence} ${slot}\n`);
    await delay(restAfter(performance.now() - begun, PAUSE_MS));
  }
}

/**
 * Checks that a file holds every record that was acknowledged, or a later one in its slot.
 *
 * @returns how many were acknowledged
 */
export function checkRecords(file: string, list: string, seed: number): number {
  const lastOf = new Map<number, number>();
  let count = 0;
  for (const line of readFileSync(list, 'utf8').split('\n').slice(0, -1)) {
    const [sequence = 0, slot = 0] = line.split(' ').map(Number);
    lastOf.set(slot, sequence);
    count++;
  }
  const data = openSync(file, 'r');
  const record = Buffer.alloc(RECORD_BYTES);
  for (const [slot, sequence] of lastOf) {
    readSync(data, record, 0, RECORD_BYTES, slot * RECORD_BYTES);
    const held = record.readUInt32LE(0);
    // One more may have been synced and not been noted.
    const isRight =
      (held === sequence || held === count + 1) && record.equals(recordOf(seed, held));
    if (!isRight) throw new Error(`slot ${slot} holds record ${held}, not ${sequence}`);
  }
  closeSync(data);
  return count;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , file = '', slots, list = '', seed] = process.argv;
  await write(file, Number(slots), list, Number(seed));
}
