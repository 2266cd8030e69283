/** Records that are wrong in every way a hostile peer could think of, their checksums right. */
import { randomBytes } from './fuzz.js';
import { decodeRecord, type Extent, encodeJson, encodeRecord, type Lies, TYPE } from './proto4.js';
import type { Random } from './random.js';

const TYPES = Object.values(TYPE);
const ODD_NUMBERS = [0, 1, 2 ** 16 - 1, 2 ** 20, 2 ** 20 + 1, 2 ** 24, 2 ** 31, 2 ** 32 - 1];
const ODD_OFFSETS = [1n, 511n, 2n ** 32n, 2n ** 53n - 512n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 512n];
const ODD_JSON = [
  '',
  '{',
  'null',
  '[]',
  '{}',
  '{"records":-1}',
  '{"__proto__":{"records":1}}',
  '{"version":1}',
  `{"code":"X","message":"\\u001b[2J${'x'.repeat(3000)}"}`,
  '{"code":"constructor","message":""}',
  `{"resume":${2 ** 53}}`,
  `{"records":1,"dataBytes":1e308,"digest":"${'0'.repeat(64)}"}`,
  `{"records":0,"dataBytes":0,"digest":"${'0'.repeat(64)}","flushed":true}`,
  '['.repeat(60_000),
  `{"a":"${'\\u0000'.repeat(5000)}"}`,
];

/** A record of any type, true or not. */
export function randomRecord(random: Random, targetBytes: number): Buffer {
  const type = random.chance(0.8) ? random.pick(TYPES) : random.below(256);
  if (random.chance(0.3)) return encodeRecord(type, [], Buffer.from(random.pick(ODD_JSON)));
  const extents = randomExtents(random, targetBytes);
  const bytes = random.chance(0.7)
    ? extents.reduce((sum, [, length]) => sum + length, 0)
    : random.below(200);
  return encodeRecord(type, extents, randomBytes(random, Math.min(bytes, 100_000)));
}

/** Ascending extents within the target. */
export function randomExtents(random: Random, targetBytes: number): Extent[] {
  const extents: Extent[] = [];
  let offset = random.below(targetBytes >> 9) * 512;
  for (let count = 1 + random.below(6); count > 0 && offset < targetBytes; count--) {
    const wanted = random.pick([512, 4096, 512 * (1 + random.below(20)), 1 + random.below(3000)]);
    const length = Math.min(wanted, targetBytes - offset);
    extents.push([offset, length]);
    if (length % 512 !== 0) break;
    offset += length + random.pick([0, 512, 4096]);
  }
  return extents;
}

/** The same record with one lie in it. */
function withLie(random: Random, record: Buffer): Buffer {
  const { type, extents, payload } = decodeRecord(record);
  const lies: Lies = random.pick<Lies>([
    { encoding: random.below(4) },
    { extentCount: random.pick([0, 1, 255, 1024, 1025, 65_535]) },
    { payloadBytes: random.pick(ODD_NUMBERS), decodedBytes: random.pick(ODD_NUMBERS) },
    { payloadBytes: random.pick(ODD_NUMBERS) },
    { decodedBytes: random.pick(ODD_NUMBERS) },
    { offset: random.pick(ODD_OFFSETS) },
    { reserved: random.uint32() },
    { table: randomBytes(random, extents.length * 8) },
    { encoding: 1, decodedBytes: 4 << 20 },
  ]);
  return encodeRecord(random.chance(0.1) ? random.pick(TYPES) : type, extents, payload, lies);
}

export type Mutation = (random: Random, records: Buffer[], targetBytes: number) => void;

export const MUTATIONS: Record<string, Mutation> = {
  'a lie'(random, records) {
    const at = random.below(records.length);
    records[at] = withLie(random, records[at]!);
  },
  'a record more'(random, records, targetBytes) {
    records.splice(random.below(records.length + 1), 0, randomRecord(random, targetBytes));
  },
  'many records more'(random, records, targetBytes) {
    const count = 1 + random.below(30);
    for (let i = 0; i < count; i++) records.push(randomRecord(random, targetBytes));
  },
  'a record less'(random, records) {
    records.splice(random.below(records.length), 1);
  },
  'a record twice'(random, records) {
    records.splice(random.below(records.length + 1), 0, random.pick(records));
  },
  'another order'(random, records) {
    random.shuffle(records);
  },
  'beyond the end'(random, records, targetBytes) {
    const offset = random.pick([targetBytes & ~511, (targetBytes & ~511) + 512, 2 ** 40]);
    const type = random.pick([TYPE.data, TYPE.zero, TYPE.discard, TYPE.check]);
    const payload = randomBytes(random, type === TYPE.data ? 4096 : 0);
    const record = encodeRecord(type, [[offset, 4096]], payload);
    records.splice(random.below(records.length + 1), 0, record);
  },
  'a huge extent'(random, records) {
    const extents: Extent[] = [[0, random.pick([2 ** 31, 2 ** 32 - 512])]];
    const record = encodeRecord(random.pick([TYPE.zero, TYPE.discard, TYPE.check]), extents);
    records.splice(random.below(records.length + 1), 0, record);
  },
  'odd JSON'(random, records) {
    const at = random.below(records.length);
    const type = records[at]![0]!;
    records[at] = encodeRecord(type, [], Buffer.from(random.pick(ODD_JSON)));
  },
  'a refusal'(random, records) {
    const refusal = {
      code: random.pick(['FUTURE', 'READ_FAILED', 'TARGET_IN_USE']),
      message: 'no\x1b',
    };
    records.splice(random.below(records.length + 1), 0, encodeJson(TYPE.refuse, refusal));
  },
  'many pulses'(random, records) {
    const alive = encodeRecord(TYPE.alive, []);
    records.splice(random.below(records.length + 1), 0, ...Array<Buffer>(50).fill(alive));
  },
  'records of the future'(random, records) {
    const payload = randomBytes(random, random.below(2000));
    const record = encodeRecord(128 + random.below(128), [[77, 1]], payload, { encoding: 9 });
    records.splice(random.below(records.length + 1), 0, record);
  },
};
