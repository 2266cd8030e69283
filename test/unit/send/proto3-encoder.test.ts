import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBatch } from '#lvmsync/block/batch.js';
import type { ExtentSource } from '#lvmsync/extents/extents.js';
import { createProto3Encoder } from '#lvmsync/send/proto3-encoder.js';

const MIB = 1 << 20;

function extentsOf(...ranges: [offset: number, length: number][]): ExtentSource {
  const slice = {
    count: ranges.length,
    offsets: Float64Array.from(ranges, ([offset]) => offset),
    lengths: Float64Array.from(ranges, ([, length]) => length),
  };
  return {
    totalBytes: ranges.reduce((sum, [, length]) => sum + length, 0),
    extentCount: ranges.length,
    slices: () => [slice],
  };
}

/** Every batch as its list of [offset, length, position], and the stream bytes that it became. */
async function packAll(extents: ExtentSource, capacity = 256) {
  const encoder = createProto3Encoder(extents);
  const batches = [];
  for (;;) {
    const batch = createBatch(Buffer.alloc(encoder.bufferBytes), capacity);
    if (!encoder.layOut(batch)) return batches;
    const pieces = Array.from({ length: batch.count }, (_, i) => [
      batch.offsets[i]!,
      batch.lengths[i]!,
      batch.positions[i]!,
    ]);
    const { bytes, recordCount, dataBytes } = await encoder.seal(batch);
    batches.push({ pieces, bytes: Buffer.concat(bytes), recordCount, dataBytes });
  }
}

test('when there are no extents, then there is no batch', async () => {
  assert.deepEqual(await packAll(extentsOf()), []);
});

test('when an extent is longer than a record, then it is cut and each piece is page-aligned', async () => {
  const batches = await packAll(extentsOf([MIB, 2 * MIB + 4096]));
  assert.deepEqual(
    batches.map(({ pieces }) => pieces),
    [[[MIB, MIB, 4096]], [[2 * MIB, MIB, 4096]], [[3 * MIB, 4096, 4096]]],
  );
  assert.deepEqual(
    batches.map(({ bytes }) => bytes.length),
    [12 + MIB, 12 + MIB, 12 + 4096],
  );
});

test('when extents are small, then they share a buffer with a header before each', async () => {
  const [batch, ...others] = await packAll(extentsOf([0, 4096], [8192, 512], [65536, 4096]));
  assert.deepEqual(others, []);
  assert.deepEqual(batch?.pieces, [
    [0, 4096, 4096],
    [8192, 512, 4096 + 4096 + 12],
    [65536, 4096, 4096 + 4096 + 12 + 512 + 12],
  ]);
  assert.equal(batch.bytes.length, 3 * 12 + 4096 + 512 + 4096);
  assert.equal(
    batch.bytes.subarray(12 + 4096, 24 + 4096).toString('hex'),
    '000000000000200000000200',
  );
  assert.deepEqual([batch.recordCount, batch.dataBytes], [3, 8704]);
});

test('when a batch has no room for another piece, then the next one goes on from there', async () => {
  const batches = await packAll(extentsOf([0, 512], [1024, 512], [2048, 512]), 2);
  assert.deepEqual(
    batches.map(({ pieces }) => pieces.map(([offset]) => offset)),
    [[0, 1024], [2048]],
  );
});

test('when volumes are larger than 32 bits can count, then offsets stay exact', async () => {
  const far = 2 ** 45 + 4096;
  const [batch] = await packAll(extentsOf([far, 4096]));
  assert.equal(batch?.pieces[0]?.[0], far);
});
