import assert from 'node:assert/strict';
import { test } from 'node:test';
import { extensionBytes, fullStoreBytes, storeBytes } from '#lvmsync/workflow/store-size.js';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

test('when a part of the origin is asked for then it is that, and not too little', () => {
  assert.equal(storeBytes({ percent: 20 }, 10 * GIB, 0), 2 * GIB);
  assert.equal(storeBytes({ percent: 20 }, 20 * MIB, 0), 8 * MIB);
  assert.equal(storeBytes({ bytes: MIB }, 10 * GIB, 0), MIB);
});

test('when snapshots have overflowed then the next is twice as large each time', () => {
  assert.equal(storeBytes({ bytes: 3 * MIB }, GIB, 1), 6 * MIB);
  assert.equal(storeBytes({ bytes: 3 * MIB }, GIB, 3), 24 * MIB);
});

test('when a store holds everything then it gets no larger', () => {
  const full = fullStoreBytes(GIB);
  assert.ok(full > GIB + GIB / 256 && full < 1.02 * GIB);
  assert.equal(storeBytes({ percent: 100 }, GIB, 3), full);
  assert.equal(extensionBytes(full, GIB), 0);
  assert.equal(extensionBytes(full + 1, GIB), 0);
});

test('when a store is extended then by half, in whole sectors, up to everything', () => {
  assert.equal(extensionBytes(100 * MIB, GIB), 50 * MIB);
  assert.equal(extensionBytes(MIB, GIB), 8 * MIB);
  assert.equal(extensionBytes(fullStoreBytes(GIB) - 65_536, GIB), 65_536);
  for (const bytes of [1e7 + 1, 12_345_678]) {
    assert.equal(storeBytes({ bytes }, GIB, 0) % 512, 0);
    assert.equal(extensionBytes(bytes * 100, 10 * GIB) % 512, 0);
  }
});
