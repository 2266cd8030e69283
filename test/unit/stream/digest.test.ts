import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTransferDigest } from '#lvmsync/stream/digest.js';
import { encodeRecord, TYPE, totalsOf } from '../../support/proto4.js';
import { createRandom } from '../../support/random.js';

function digestOf(records: readonly Buffer[]): string {
  const digest = createTransferDigest();
  for (const record of records) digest.add(record.subarray(0, 32 + record.readUInt16BE(2) * 8));
  return digest.hex();
}

const PAYLOAD = Buffer.from(Array.from({ length: 4608 }, (_, i) => (i * 7) % 256));
const DATA = encodeRecord(
  TYPE.data,
  [
    [2 ** 40 + 4096, 4096],
    [2 ** 40 + 12288, 512],
  ],
  PAYLOAD,
);
const ZERO = encodeRecord(TYPE.zero, [[512, 1 << 20]]);

test('when nothing was added then it is 64 zeroes', () => {
  assert.equal(digestOf([]), '0'.repeat(64));
});

test('when two known records are added then the digest is as worked out elsewhere', () => {
  assert.equal(
    digestOf([DATA, ZERO]),
    'e36f5b3391b5b28dc27f0f1a046900ccbb95c1eb84e04b551b7c2ae6a03e72d4',
  );
});

test('when records come in another order then it is the same, and no record is neutral', () => {
  const random = createRandom(1);
  const records = Array.from({ length: 50 }, () => {
    const length = 1 + random.below(5000);
    return encodeRecord(TYPE.data, [[512 * random.below(2 ** 40), length]], random.bytes(length));
  });
  const digest = digestOf(records);
  assert.equal(digest, totalsOf(records).digest);
  for (let round = 0; round < 20; round++) assert.equal(digestOf(random.shuffle(records)), digest);
  for (const index of records.keys()) {
    assert.notEqual(digestOf(records.toSpliced(index, 1)), digest);
    assert.notEqual(digestOf([...records, records[index]!]), digest);
  }
});

test('when any bit of header or table differs then so does the digest', () => {
  const prologueBytes = 32 + 2 * 8;
  const known = digestOf([DATA]);
  for (let at = 0; at < prologueBytes; at++) {
    if (at >= 28 && at < 32) continue; // the header's own checksum says nothing of its own
    for (let bit = 0; bit < 8; bit++) {
      const digest = createTransferDigest();
      const prologue = Buffer.from(DATA.subarray(0, prologueBytes));
      prologue[at]! ^= 1 << bit;
      digest.add(prologue);
      assert.notEqual(digest.hex(), known, `byte ${at}, bit ${bit}`);
    }
  }
});

test('when one byte of the payload differs then so does the digest, by the CRC', () => {
  const payload = Buffer.from(PAYLOAD);
  payload[1000]! ^= 1;
  const extents = [
    [2 ** 40 + 4096, 4096],
    [2 ** 40 + 12288, 512],
  ] as const;
  assert.notEqual(digestOf([encodeRecord(TYPE.data, extents, payload)]), digestOf([DATA]));
});
