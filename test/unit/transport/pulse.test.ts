import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ByteSource } from '#lvmsync/stream/bytes.js';
import { keepAlive, withTimeout } from '#lvmsync/transport/pulse.js';
import { createStreamWriter } from '#lvmsync/transport/stream-writer.js';
import { encodeRecord, TYPE } from '../../support/proto4.js';

const ALIVE = encodeRecord(TYPE.alive, []);
const silent: ByteSource = { description: 'ssh backup', read: () => new Promise(() => {}) };

test('when nothing comes for the whole timeout then the peer is named and given up', async () => {
  await assert.rejects(withTimeout(silent, 20).read(Buffer.alloc(1)), {
    code: 'PEER_STALLED',
    message: 'ssh backup: nothing came for 0.02 seconds',
  });
});

test('when something comes in time then it is passed on, and so are the end and a failure', async () => {
  const answers = [3, 0];
  const source = withTimeout({ description: 'x', read: async () => answers.shift() ?? 0 }, 60_000);
  assert.equal(await source.read(Buffer.alloc(3)), 3);
  assert.equal(await source.read(Buffer.alloc(3)), 0);
  const failing = { description: 'x', read: () => Promise.reject(new Error('broken')) };
  await assert.rejects(withTimeout(failing, 60_000).read(Buffer.alloc(1)), { message: 'broken' });
});

test('when there is no timeout then the source is used as it is', () => {
  assert.equal(withTimeout(silent, 0), silent);
});

test('when nothing is sent for a third of the timeout then an ALIVE is', async () => {
  const output = new PassThrough();
  const stop = keepAlive(createStreamWriter(output), 60);
  // The timer alone keeps no process alive: this one has the test's own delay.
  const [[first]] = await Promise.all([once(output, 'data'), delay(200)]);
  stop();
  assert.ok(ALIVE.equals(first as Buffer));
  output.removeAllListeners('data');
  output.read();
  await delay(100);
  assert.equal(output.readableLength, 0, 'it goes on after it was stopped');
});

test('when there is no timeout then nothing is sent', async () => {
  const output = new PassThrough();
  const stop = keepAlive(createStreamWriter(output), 0);
  await delay(50);
  stop();
  assert.equal(output.readableLength, 0);
});

test('when the other end is gone then the pulse fails quietly', async () => {
  const output = new PassThrough();
  const stop = keepAlive(createStreamWriter(output), 15);
  output.destroy();
  await delay(60);
  stop();
});
