import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { measureRoundTrip } from '#lvmsync/transport/ssh2/round-trip.js';

type Unforward = Parameters<typeof measureRoundTrip>[0]['unforwardIn'];

/** A server that takes so long for one answer after the other; notes how long it took. */
function answeringAfter(delaysMs: readonly number[], tookMs: number[]): Unforward {
  let asked = 0;
  return function (this: ThisType<unknown>, _address, _port, callback) {
    const askedAt = performance.now();
    setTimeout(() => {
      tookMs.push(performance.now() - askedAt);
      callback?.(new Error('refused'));
    }, delaysMs[asked++]);
    return this as ReturnType<Unforward>;
  };
}

test('the shortest of five round trips counts, and none before the first answer', async () => {
  const tookMs: number[] = [];
  const measured: number[] = [];
  const shortestMs = measureRoundTrip(
    { unforwardIn: answeringAfter([300, 30, 300, 300, 300, 0], tookMs) },
    (roundTripMs) => measured.push(roundTripMs),
  );
  assert.equal(shortestMs(), undefined);
  while (tookMs.length < 5) await delay(10);
  await delay(50);
  assert.equal(tookMs.length, 5);
  const found = shortestMs() ?? 0;
  assert.ok(found >= Math.min(...tookMs) && found < Math.max(...tookMs), `${found} of ${tookMs}`);
  assert.deepEqual(measured, [found]);
});

test('a connection that is gone leaves the distance unknown', () => {
  const gone = {
    unforwardIn() {
      throw new Error('Not connected');
    },
  };
  const shortestMs = measureRoundTrip(gone, () => assert.fail('nothing was measured'));
  assert.equal(shortestMs(), undefined);
});
