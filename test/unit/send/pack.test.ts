import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBatch } from '#lvmsync/block/batch.js';
import type { ExtentSource } from '#lvmsync/extents/extents.js';
import { createPacker, packBufferBytes } from '#lvmsync/send/pack.js';

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

/** Every batch as its list of [offset, length, position], and where it starts and ends. */
function packAll(extents: ExtentSource, headerBytes: number, capacity = 256) {
  const packer = createPacker(extents, { headerBytes, maxRecordBytes: MIB });
  const batch = createBatch(Buffer.alloc(packBufferBytes(MIB)), capacity);
  const batches = [];
  for (;;) {
    const packing = packer.next(batch);
    if (packing === undefined) return batches;
    const pieces = Array.from({ length: batch.count }, (_, i) => [
      batch.offsets[i]!,
      batch.lengths[i]!,
      batch.positions[i]!,
    ]);
    batches.push({ ...packing, pieces });
  }
}

test('when there are no extents, then there is no batch', () => {
  assert.deepEqual(packAll(extentsOf(), 12), []);
});

test('when an extent is longer than a record, then it is cut and each piece is page-aligned', () => {
  const batches = packAll(extentsOf([MIB, 2 * MIB + 4096]), 12);
  assert.deepEqual(batches, [
    { start: 4084, end: 4096 + MIB, pieces: [[MIB, MIB, 4096]] },
    { start: 4084, end: 4096 + MIB, pieces: [[2 * MIB, MIB, 4096]] },
    { start: 4084, end: 8192, pieces: [[3 * MIB, 4096, 4096]] },
  ]);
});

test('when extents are small, then they share a buffer with room for a header before each', () => {
  const [batch, ...others] = packAll(extentsOf([0, 4096], [8192, 512], [65536, 4096]), 12);
  assert.deepEqual(others, []);
  assert.deepEqual(batch, {
    start: 4084,
    end: 4084 + 3 * 12 + 4096 + 512 + 4096,
    pieces: [
      [0, 4096, 4096],
      [8192, 512, 4096 + 4096 + 12],
      [65536, 4096, 4096 + 4096 + 12 + 512 + 12],
    ],
  });
});

test('when a batch has no room for another piece, then the next one goes on from there', () => {
  const batches = packAll(extentsOf([0, 512], [1024, 512], [2048, 512]), 12, 2);
  assert.deepEqual(
    batches.map(({ pieces }) => pieces.map(([offset]) => offset)),
    [[0, 1024], [2048]],
  );
});

test('when volumes are larger than 32 bits can count, then offsets stay exact', () => {
  const far = 2 ** 45 + 4096;
  assert.equal(packAll(extentsOf([far, 4096]), 12)[0]?.pieces[0]?.[0], far);
});
