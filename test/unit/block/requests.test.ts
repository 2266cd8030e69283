import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addPiece, createBatch } from '#lvmsync/block/batch.js';
import { MAX_REQUEST_BYTES, planRequests } from '#lvmsync/block/requests.js';

const MiB = 1024 * 1024;

/** Each piece and request is [offset, length, position]. */
type Place = readonly [offset: number, length: number, position: number];

function plan(pieces: readonly Place[]): Place[] {
  const batch = createBatch(Buffer.alloc(0), pieces.length);
  for (const piece of pieces) addPiece(batch, ...piece);
  return planRequests(batch).map(({ offset, length, position }) => [offset, length, position]);
}

test('when pieces continue on the device and in the buffer then they are one request', () => {
  assert.deepEqual(
    plan([
      [8192, 4096, 100],
      [12288, 4096, 4196],
      [16384, 1, 8292],
    ]),
    [[8192, 8193, 100]],
  );
});

test('when pieces continue in one place alone then they stay apart', () => {
  const pieces: Place[] = [
    [0, 4096, 0],
    [4096, 4096, 8192],
    [16384, 4096, 12288],
    [12288, 4096, 16384],
  ];
  assert.deepEqual(plan(pieces), pieces);
});

test('when a run is long then it is cut at multiples of the request size on the device', () => {
  assert.equal(MAX_REQUEST_BYTES, MiB);
  assert.deepEqual(plan([[MiB - 10, 2 * MiB + 15, 7]]), [
    [MiB - 10, 10, 7],
    [MiB, MiB, 17],
    [2 * MiB, MiB, MiB + 17],
    [3 * MiB, 5, 2 * MiB + 17],
  ]);
});

test('when a batch is empty then there are no requests', () => {
  assert.deepEqual(plan([]), []);
});

test('when an offset is beyond 32 bits then it is kept', () => {
  const far = 2 ** 45 + 512;
  assert.deepEqual(plan([[far, 512, 0]]), [[far, 512, 0]]);
});
