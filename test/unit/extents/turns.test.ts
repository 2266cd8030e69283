import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTurnOver, nextTurn } from '#lvmsync/extents/turns.js';

test('when several wait for a turn then each has one by itself, in the order in which they asked', async (t) => {
  let now = 0;
  t.mock.method(process, 'uptime', () => now / 1000);
  const seen: string[] = [];
  let going = true;
  const look = () => {
    seen.push('loop');
    if (going) setImmediate(look);
  };
  setImmediate(look);
  const names = ['first', 'second', 'third'];
  await Promise.all(
    names.map(async (name) => {
      await nextTurn();
      assert.ok(!isTurnOver());
      now += 2;
      assert.ok(isTurnOver());
      seen.push(name);
    }),
  );
  going = false;
  const places = names.map((name) => seen.indexOf(name));
  assert.deepEqual(
    places,
    [...places].sort((one, other) => one - other),
  );
  for (const place of places) assert.equal(seen[place - 1], 'loop');
});
