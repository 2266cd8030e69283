import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVote } from '#lvmsync/workflow/vote.js';

/** What a promise has come to by now. */
async function stateOf(promise: Promise<void>): Promise<string> {
  const settled = promise.then(
    () => 'resolved',
    (error: Error) => error.message,
  );
  return Promise.race([
    settled,
    new Promise<string>((resolve) => setImmediate(() => resolve('pending'))),
  ]);
}

test('when all are ready then it is decided once, and none goes on before', async () => {
  let decisions = 0;
  let decided: () => void = () => {};
  const vote = createVote(2, () => {
    decisions++;
    return new Promise((resolve) => {
      decided = resolve;
    });
  });
  const first = vote.ready(0);
  const again = vote.ready(0);
  assert.equal(await stateOf(again), 'pending');
  assert.equal(decisions, 0, 'one voter that is ready twice is one');
  const second = vote.ready(1);
  assert.equal(await stateOf(first), 'pending');
  decided();
  vote.veto(new Error('too late'));
  for (const each of [first, second, vote.ready(0)]) assert.equal(await stateOf(each), 'resolved');
  assert.equal(decisions, 1);
});

test('when one cannot then none goes on, whenever it gets ready', async () => {
  const vote = createVote(2, () => assert.fail('decided'));
  const first = vote.ready(0);
  vote.veto(new Error('cannot'));
  vote.veto(new Error('another'));
  assert.equal(await stateOf(first), 'cannot');
  assert.equal(await stateOf(vote.ready(1)), 'cannot');
});

test('when the decision cannot be kept then none goes on', async () => {
  const vote = createVote(1, () => Promise.reject(new Error('disk full')));
  assert.equal(await stateOf(vote.ready(0)), 'disk full');
});
