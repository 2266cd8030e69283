import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { streamSource } from '#lvmsync/transport/byte-source.js';
import { readAll } from '../../support/read-all.js';

const MiB = 1 << 20;
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

test('when bytes have arrived then several may wait for them, and none of them is read', async () => {
  const stream = new PassThrough();
  const source = streamSource(stream, 'a stream');
  const waiting = [source.arrive(), source.arrive(), source.read(Buffer.alloc(1))] as const;
  stream.end('abc');
  assert.deepEqual(await Promise.all(waiting), [true, true, 1]);
  assert.equal((await readAll(source)).toString(), 'bc');
  assert.equal(await source.arrive(), false);
});

test('when the stream is closed before its end then nothing arrives, and a read says so', async () => {
  const stream = new PassThrough();
  const source = streamSource(stream, 'a stream');
  const arriving = source.arrive();
  stream.destroy();
  assert.equal(await arriving, false);
  await assert.rejects(source.read(Buffer.alloc(1)), { message: 'a stream was closed' });
});

test('when the stream fails then that is what is thrown, once what came before has been read', async () => {
  const stream = new PassThrough();
  const source = streamSource(stream, 'a stream');
  stream.write('ab');
  await nextTurn();
  stream.destroy(new Error('cut'));
  await nextTurn();
  assert.equal(await source.read(Buffer.alloc(9)), 2);
  await assert.rejects(source.arrive(), { message: 'cut' });
  await assert.rejects(source.read(Buffer.alloc(9)), { message: 'cut' });
});

test('when nobody reads then the stream is held back, until what comes is to be dropped', async () => {
  const stream = new PassThrough();
  const source = streamSource(stream, 'a stream');
  let written = 0;
  for (let number = 0; number < 8; number++) stream.write(Buffer.alloc(MiB), () => written++);
  for (let turn = 0; turn < 10; turn++) await nextTurn();
  assert.ok(written < 4, `${written} MiB were taken`);
  source.discard();
  const end = source.read(Buffer.alloc(1));
  stream.end();
  assert.equal(await end, 0);
  assert.equal(written, 8);
});
