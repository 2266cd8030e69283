import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addPiece, type Batch, createBatch, type Ranges } from '#lvmsync/block/batch.js';
import { joinZeroes } from '#lvmsync/receive/join-zeroes.js';
import { createRandom } from '../../support/random.js';

const START = 512;
const random = createRandom(3);

type Range = readonly [offset: number, length: number];

/** Data one behind the other from `START` on, in a buffer that holds other bytes elsewhere. */
function dataOf(ranges: readonly Range[], bufferBytes: number): Batch {
  const batch = createBatch(random.bytes(bufferBytes), ranges.length);
  let position = START;
  for (const [offset, length] of ranges) {
    addPiece(batch, offset, length, position);
    position += length;
  }
  return batch;
}

function listOf({ count, offsets, lengths }: Ranges): Range[] {
  return Array.from({ length: count }, (_, i) => [offsets[i]!, lengths[i]!]);
}

/** What the pieces of a batch would make of a target full of 0xff. */
function imageOf(batch: Batch, sizeBytes: number): Buffer {
  const image = Buffer.alloc(sizeBytes, 0xff);
  for (let i = 0; i < batch.count; i++) {
    const position = batch.positions[i]!;
    batch.buffer.copy(image, batch.offsets[i]!, position, position + batch.lengths[i]!);
  }
  return image;
}

test('when zeroes lie between data, then both are one run in memory as on the target', () => {
  const data = dataOf(
    [
      [4096, 4096],
      [16384, 4096],
    ],
    65536,
  );
  const zeroes = dataOf(
    [
      [0, 4096],
      [8192, 8192],
    ],
    65536,
  );
  const { written, longer } = joinZeroes(data, zeroes, 65536);
  assert.equal(longer.count, 0);
  assert.deepEqual(listOf(written), [
    [0, 4096],
    [4096, 4096],
    [8192, 8192],
    [16384, 4096],
  ]);
  assert.deepEqual(
    [...written.positions.subarray(0, written.count)],
    [0, 4096, 8192, 16384].map((offset) => START + offset),
  );
});

test('when zeroes are as long as the limit, then they are left to be zeroed', () => {
  const data = dataOf([[8192, 512]], 65536);
  const zeroes = dataOf(
    [
      [0, 8192],
      [8704, 8191],
    ],
    65536,
  );
  const { written, longer } = joinZeroes(data, zeroes, 8192);
  assert.deepEqual(listOf(longer), [[0, 8192]]);
  assert.deepEqual(listOf(written), [
    [8192, 512],
    [8704, 8191],
  ]);
});

test('when data and zeroes of any length are joined, then the target is as if each were written by itself', () => {
  for (let round = 0; round < 200; round++) {
    const [data, zeroes]: [Range[], Range[]] = [[[0, 1 + random.below(3)]], []];
    let offset = 4;
    while (offset < 20_000) {
      const length = 1 + random.below(random.pick([10, 3000]));
      random.pick([data, data, zeroes, []]).push([offset, length]);
      offset += length;
    }
    const batch = dataOf(data, START + offset);
    const expected = imageOf(batch, offset);
    for (const [at, length] of zeroes) expected.fill(0, at, at + length);
    const { written, longer } = joinZeroes(batch, dataOf(zeroes, START + offset), 2000);
    const image = imageOf(written, offset);
    for (const [at, length] of listOf(longer)) {
      assert.ok(length >= 2000);
      image.fill(0, at, at + length);
    }
    assert.ok(image.equals(expected), `round ${round}`);
  }
});
