import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGate } from '#lvmsync/block/gate.js';

test('when more come than there are places, then they wait for those before them, in their order', async () => {
  const gate = createGate(2);
  const inside: number[] = [];
  const enter = async (visitor: number) => {
    await gate.enter();
    inside.push(visitor);
  };
  const all = [1, 2, 3, 4].map(enter);
  await Promise.all(all.slice(0, 2));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(inside, [1, 2]);
  gate.leave();
  await all[2];
  assert.deepEqual(inside, [1, 2, 3]);
  for (let visitor = 2; visitor <= 4; visitor++) gate.leave();
  await all[3];
  assert.deepEqual(inside, [1, 2, 3, 4]);
  await Promise.all([gate.enter(), gate.enter()]);
});
