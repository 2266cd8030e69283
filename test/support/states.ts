/** The states of a volume over time, and the changes between them, as a replication sends them. */
import { applied, type Extent, encodeRecord, encodeTransfer, TYPE } from './proto4.js';
import { createRandom, type Random } from './random.js';

export interface States {
  /** What the volume holds, state by state. */
  images: Buffer[];
  /** When each was taken, a day apart. */
  times: string[];
  /** The changes that lead from the state before to this one, as a sender's stream. */
  delta(state: number): Buffer;
  /** Twelve hours after a state, in place of the next one: random changes of its own. */
  branch(state: number): { image: Buffer; time: string; delta: Buffer };
  /** The whole of a state. */
  full(state: number): Buffer;
  /** What a receiver is told of the run to this state from the one before, or from another. */
  words(state: number, keep: number, before?: string): string[];
}

const UNIT_BYTES = 512;
const MAX_EXTENT_BYTES = 64 << 10;
const RECORDS = 12;
const RECORD_EXTENTS = 10;
const DAY_MS = 86_400_000;
const FULL_RECORD_BYTES = 1 << 20;

/** Seeded; each state differs from the one before in places of its own. */
export function createStates(seed: number, sizeBytes: number, count: number): States {
  const random = createRandom(seed);
  const images = [random.bytes(sizeBytes)];
  const times = [timeOf(0)];
  const deltas: Buffer[] = [encodeTransfer(sizeBytes, [], 'nothing')];
  for (let state = 1; state < count; state++) {
    const records = changes(random, sizeBytes);
    images.push(applied(images[state - 1]!, records));
    times.push(timeOf(state));
    deltas.push(encodeTransfer(sizeBytes, records, `changes ${seed} ${state}`));
  }
  return {
    images,
    times,
    delta: (state) => deltas[state]!,
    branch(state) {
      const records = changes(random, sizeBytes);
      return {
        image: applied(images[state]!, records),
        time: timeOf(state + 0.5),
        delta: encodeTransfer(sizeBytes, records, `branch ${seed} ${state}`),
      };
    },
    full(state) {
      const records: Buffer[] = [];
      for (let offset = 0; offset < sizeBytes; offset += FULL_RECORD_BYTES) {
        const data = images[state]!.subarray(offset, offset + FULL_RECORD_BYTES);
        records.push(encodeRecord(TYPE.data, [[offset, data.length]], data));
      }
      return encodeTransfer(sizeBytes, records, `all ${seed} ${state}`);
    },
    words: (state, keep, before = times[state - 1]!) => [
      ...['--keep', String(keep), '--state-after', times[state]!],
      ...['--state-before', before],
    ],
  };
}

function timeOf(state: number): string {
  return new Date(Date.UTC(2026, 0, 1, 12) + state * DAY_MS).toISOString();
}

/** Records with extents in random, ascending places that do not overlap; the last in the last blocks. */
function changes(random: Random, sizeBytes: number): Buffer[] {
  const places = Array.from({ length: RECORDS * RECORD_EXTENTS }, () =>
    random.below(sizeBytes / UNIT_BYTES),
  ).sort((a, b) => a - b);
  const records: Buffer[] = [];
  let extents: Extent[] = [];
  for (const [i, place] of places.entries()) {
    const end = Math.min(places[i + 1] ?? sizeBytes / UNIT_BYTES, sizeBytes / UNIT_BYTES);
    const units = Math.min(end - place, 1 + random.below(MAX_EXTENT_BYTES / UNIT_BYTES));
    if (units > 0) extents.push([place * UNIT_BYTES, units * UNIT_BYTES]);
    if (extents.length < RECORD_EXTENTS && i < places.length - 1) continue;
    records.push(record(random, extents));
    extents = [];
  }
  return records;
}

function record(random: Random, extents: Extent[]): Buffer {
  if (random.chance(0.2)) return encodeRecord(random.pick([TYPE.zero, TYPE.discard]), extents);
  const bytes = extents.reduce((sum, [, length]) => sum + length, 0);
  return encodeRecord(TYPE.data, extents, random.bytes(bytes));
}
