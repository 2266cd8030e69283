import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Course,
  estimateSeconds,
  measuredRate,
  nextStep,
} from '#lvmsync/workflow/migration-decision.js';

const MIB = 2 ** 20;

function stepAfter(...pendingMib: number[]): string {
  return stepOf({ pendingBytes: pendingMib.map((mib) => mib * MIB) });
}

function stepOf(changes: Partial<Course>): string {
  return nextStep({
    rounds: 3,
    wantedRounds: undefined,
    maxDowntimeSeconds: 10,
    bytesPerSecond: MIB,
    pendingBytes: [100 * MIB],
    ...changes,
  });
}

test('when what is left fits into the downtime then it cuts over, and not before', () => {
  assert.equal(stepAfter(9), 'cutover');
  assert.equal(stepAfter(9.001), 'round');
  assert.equal(stepAfter(0), 'cutover');
});

test('when nothing is left then it cuts over, however short the downtime may be', () => {
  assert.equal(stepOf({ maxDowntimeSeconds: 0, pendingBytes: [0] }), 'cutover');
  assert.equal(stepOf({ maxDowntimeSeconds: 0, pendingBytes: [1] }), 'round');
});

test('when a number of rounds is wanted then that alone decides', () => {
  assert.equal(stepOf({ wantedRounds: 4, pendingBytes: [0] }), 'round');
  assert.equal(stepOf({ wantedRounds: 3 }), 'cutover');
  assert.equal(stepOf({ wantedRounds: 0 }), 'cutover');
  assert.equal(stepOf({ wantedRounds: 3, pendingBytes: [100, 100, 100, 100] }), 'cutover');
});

test('when no rate was measured then it makes a round, unless nothing is left', () => {
  assert.equal(stepOf({ bytesPerSecond: undefined, pendingBytes: [1] }), 'round');
  assert.equal(stepOf({ bytesPerSecond: undefined, pendingBytes: [0] }), 'cutover');
});

test('when two rounds in a row do not shrink then they have stalled', () => {
  assert.equal(stepAfter(100), 'round');
  assert.equal(stepAfter(100, 90), 'round');
  assert.equal(stepAfter(100, 90, 81), 'stalled');
  assert.equal(stepAfter(100, 90, 79), 'round');
  assert.equal(stepAfter(100, 120, 79), 'round');
  assert.equal(stepAfter(100, 50, 45, 41), 'stalled');
  assert.equal(stepAfter(100, 50, 25, 12), 'round');
  assert.equal(stepAfter(100, 200, 300), 'stalled');
});

test('when they have stalled within the downtime then it cuts over', () => {
  assert.equal(stepAfter(8, 8, 8, 8), 'cutover');
});

test('when bytes are left then their time is estimated from the rate', () => {
  assert.equal(estimateSeconds(20 * MIB, 2 * MIB), 11);
  assert.equal(estimateSeconds(1, undefined), Number.POSITIVE_INFINITY);
});

test('when a transfer was small then the rate before stays', () => {
  assert.equal(measuredRate(7, 10, 5), 7);
  assert.equal(measuredRate(undefined, 10, 5), 2);
  assert.equal(measuredRate(7, 4 * MIB, 2), 2 * MIB);
  assert.equal(measuredRate(undefined, 0, 2), undefined);
});
