import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLinkPositions } from '#lvmsync/receive/link-positions.js';

test('when there is one link then its last offset is the lowest', () => {
  const positions = createLinkPositions();
  const link = positions.open();
  assert.equal(positions.lowest(), 0);
  link.note(4096);
  link.note(8192);
  assert.equal(positions.lowest(), 8192);
});

test('when one link lags behind then its offset is the lowest', () => {
  const positions = createLinkPositions();
  const [slow, fast] = [positions.open(), positions.open()];
  slow.note(4096);
  fast.note(8192);
  fast.note(65536);
  assert.equal(positions.lowest(), 4096);
  slow.note(12288);
  assert.equal(positions.lowest(), 12288);
});

test('when a link that lagged behind has ended then it does not count any more', () => {
  const positions = createLinkPositions();
  const [slow, fast] = [positions.open(), positions.open()];
  slow.note(4096);
  fast.note(8192);
  slow.end();
  assert.equal(positions.lowest(), 8192);
  fast.end();
  assert.equal(positions.lowest(), 8192);
});

test('when a link joins later then what came before it is not held back by it', () => {
  const positions = createLinkPositions();
  const first = positions.open();
  first.note(65536);
  const late = positions.open();
  assert.equal(positions.lowest(), 65536);
  first.note(131072);
  assert.equal(positions.lowest(), 65536);
  late.note(98304);
  assert.equal(positions.lowest(), 98304);
});

test('when the records of a link do not ascend then nobody can tell', () => {
  const positions = createLinkPositions();
  const link = positions.open();
  link.note(8192);
  link.note(4096);
  assert.equal(positions.lowest(), undefined);
});
