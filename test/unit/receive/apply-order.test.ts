import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type NamedInspection, orderOf } from '#lvmsync/receive/apply-order.js';
import { type Inspection, nothingYet } from '#lvmsync/receive/inspect-findings.js';

const UUID = 'VdBWVq-1I9m-vPkF-wVyU-MjdS-FBIh-eNdJlN';

interface Given {
  kind?: Inspection['kind'];
  state?: Inspection['state'];
  id?: string;
  begunAtMs?: number;
  modifiedAtMs?: number;
  at?: number;
}

function file(name: string, given: Given): NamedInspection {
  const { kind = 'undo-log', state = 'whole', id = 'dm LVM-target' } = given;
  const found = nothingYet();
  found.coverage.add(given.at ?? 0, 4096);
  const log = kind === 'undo-log' ? { id: name, begunAtMs: given.begunAtMs } : undefined;
  const header = {
    version: '1',
    id,
    sizeBytes: 2 ** 30,
    chunkBytes: 4096,
    announced: undefined,
    log,
  };
  const { modifiedAtMs } = given;
  const says = kind === 'proto3' ? undefined : header;
  return { name, inspection: { ...found, kind, state, modifiedAtMs, header: says } };
}

test('when snapbacks of one target are given in any order, then the newest run is rolled back first', () => {
  const files = [
    file('b', { begunAtMs: 2000, modifiedAtMs: 1 }),
    file('c', { begunAtMs: 3000, modifiedAtMs: 2, state: 'unended' }),
    file('a', { begunAtMs: 1000, modifiedAtMs: 3 }),
  ];
  const [group, ...others] = orderOf(files);
  assert.deepEqual(others, []);
  assert.deepEqual(group, {
    kind: 'undo-log',
    id: 'dm LVM-target',
    order: ['c', 'b', 'a'],
    basis: 'begun',
    unordered: [],
  });
});

test('when snapbacks are of different targets, then each target has its own order, and one alone none', () => {
  const files = [
    file('x1', { id: 'x', begunAtMs: 1 }),
    file('y1', { id: 'y', begunAtMs: 2 }),
    file('x2', { id: 'x', begunAtMs: 3 }),
    file('z1', { id: 'z', begunAtMs: 4 }),
    file('y2', { id: 'y', begunAtMs: 5 }),
  ];
  assert.deepEqual(
    orderOf(files).map(({ order }) => order),
    [
      ['x2', 'x1'],
      ['y2', 'y1'],
    ],
  );
});

test('when a log does not say when its run began, then the time of the file is taken, and that is said', () => {
  const files = [file('old', { modifiedAtMs: 5 }), file('new', { begunAtMs: 9, modifiedAtMs: 1 })];
  const [group] = orderOf(files);
  assert.deepEqual(group?.order, ['new', 'old']);
  assert.equal(group?.basis, 'file');
  assert.deepEqual(group?.unordered, []);
});

test('when no time tells two apart that hold the same places, then that is said, and of others it is not', () => {
  const same = [file('one', { begunAtMs: 7 }), file('two', { begunAtMs: 7 })];
  assert.deepEqual(orderOf(same)[0]?.unordered, [['two', 'one']]);
  const apart = [file('one', { begunAtMs: 7 }), file('two', { begunAtMs: 7, at: 2 ** 20 })];
  assert.deepEqual(orderOf(apart)[0]?.unordered, []);
  const fromInput = [file('-', {}), file('two', { modifiedAtMs: 7 })];
  assert.equal(orderOf(fromInput)[0]?.unordered.length, 1);
});

test('when streams of one volume group are given, then the one of the oldest snapshot is applied first', () => {
  const id = (createdAt: number) => `${UUID} ${UUID.replace('V', 'W')} ${createdAt}`;
  const files = [
    file('later', { kind: 'stream', id: id(1_700_000_500), modifiedAtMs: 1 }),
    file('earlier', { kind: 'stream', id: id(1_700_000_000), modifiedAtMs: 2 }),
  ];
  const [group] = orderOf(files);
  assert.deepEqual(group?.order, ['earlier', 'later']);
  assert.equal(group?.basis, 'snapshot');
});

test('when files are damaged, cut, spools or unknown, then they are in no order', () => {
  const files = [
    file('damaged', { state: 'damaged', begunAtMs: 1 }),
    file('cut', { state: 'truncated', begunAtMs: 2 }),
    file('good', { begunAtMs: 3 }),
    file('spool', { kind: 'spool' }),
    file('spool2', { kind: 'spool' }),
  ];
  assert.deepEqual(orderOf(files), []);
});

test('when they are PROTO[3], then oldest first by the time of the file, which says nothing of the volume', () => {
  const files = [
    file('b', { kind: 'proto3', state: 'unproven', modifiedAtMs: 9 }),
    file('a', { kind: 'proto3', state: 'unproven', modifiedAtMs: 8 }),
  ];
  const [group] = orderOf(files);
  assert.deepEqual([group?.order, group?.basis, group?.id], [['a', 'b'], 'file', undefined]);
});
