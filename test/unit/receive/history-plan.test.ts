import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from '#lvmsync/receive/history-manifest.js';
import { checkReplicaRun, planRun, type ReplicaRun } from '#lvmsync/receive/history-plan.js';

const [A, B, C] = [1, 2, 3].map((day) => `2026-01-0${day}T12:00:00.000Z`) as [
  string,
  string,
  string,
];
const settled: Manifest = { holds: A, snapbacks: [], run: undefined };
const unfinished = (from?: string, to?: string, file?: string): Manifest => ({
  holds: undefined,
  snapbacks: [],
  run: { from, to, file },
});

type Outcome = 'starts over' | 'begins' | 'goes on' | 'goes on unsaved' | 'takes back' | 'refused';

function outcome(known: Manifest | undefined, run: Omit<ReplicaRun, 'keep'>): Outcome {
  try {
    const plan = planRun(known, { keep: 3, ...run }, '/dev/target');
    if (plan.takeBack) return 'takes back';
    if (plan.from === undefined) return plan.saves ? 'begins' : 'starts over';
    if (!plan.saves) return 'goes on unsaved';
    return plan.goOnWith === undefined ? 'begins' : 'goes on';
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'REPLICA_STATE');
    return 'refused';
  }
}

/** What is known of the target; the run, before and after; what becomes of it. */
const CASES: [string, Manifest | undefined, string | undefined, string, Outcome][] = [
  ['nothing', undefined, undefined, B, 'starts over'],
  ['nothing', undefined, A, B, 'refused'],
  ['nothing', undefined, 'any', B, 'starts over'],
  ['A', settled, undefined, B, 'starts over'],
  ['A', settled, A, B, 'begins'],
  ['A', settled, 'any', B, 'begins'],
  ['A', settled, B, C, 'refused'],
  ['B', { ...settled, holds: B }, A, B, 'begins'],
  ['B', { ...settled, holds: B }, B, A, 'refused'],
  ['B', { ...settled, holds: B }, 'any', A, 'refused'],
  ['A to B', unfinished(A, B, '1.undo'), A, B, 'goes on'],
  ['A to B', unfinished(A, B, '1.undo'), A, C, 'takes back'],
  ['A to B', unfinished(A, B, '1.undo'), 'any', C, 'goes on'],
  ['A to B', unfinished(A, B, '1.undo'), B, C, 'refused'],
  ['A to B', unfinished(A, B, '1.undo'), undefined, C, 'starts over'],
  ['B to C', unfinished(B, C, '1.undo'), A, C, 'refused'],
  ['B to C', unfinished(B, C, '1.undo'), 'any', A, 'refused'],
  ['A to B without a snapback', unfinished(A, B), A, B, 'goes on unsaved'],
  ['A to B without a snapback', unfinished(A, B), A, C, 'refused'],
  ['A to B without a snapback', unfinished(A, B), 'any', C, 'starts over'],
  ['back to A', unfinished(A, undefined, '1.undo'), A, B, 'takes back'],
  ['back to A', unfinished(A, undefined, '1.undo'), B, C, 'refused'],
  ['back to A', unfinished(A, undefined, '1.undo'), 'any', B, 'takes back'],
  ['something to A', unfinished(undefined, A), undefined, A, 'starts over'],
  ['something to A', unfinished(undefined, A), A, B, 'refused'],
  ['something to A', unfinished(undefined, A), 'any', B, 'starts over'],
];

for (const [what, known, stateBefore, stateAfter, expected] of CASES) {
  const day = (time = 'nothing said') => ({ [A]: 'A', [B]: 'B', [C]: 'C' })[time] ?? time;
  test(`when the target is at ${what}, and the run is from ${day(stateBefore)} to ${day(stateAfter)}, then it ${expected}`, () => {
    assert.equal(outcome(known, { stateBefore, stateAfter }), expected);
  });
}

test('when a run is described in other words than it should be, then that is an error', () => {
  const wrong: ReplicaRun[] = [
    { keep: -1, stateAfter: A },
    { keep: 1001, stateAfter: A },
    { keep: 1.5, stateAfter: A },
    { keep: 1, stateAfter: 'any' },
    { keep: 1, stateAfter: A, stateBefore: 'yesterday' },
    { keep: 1, stateAfter: A, stateBefore: '' },
  ];
  for (const run of wrong) assert.throws(() => checkReplicaRun(run), { code: 'USAGE' });
  assert.deepEqual(checkReplicaRun({ keep: 0, stateAfter: '2026-01-01T12:00:00Z' }), {
    keep: 0,
    stateAfter: A,
  });
});
