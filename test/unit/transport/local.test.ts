import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { LvmsyncError } from '#lvmsync/errors.js';
import { localChannel } from '#lvmsync/transport/local.js';
import { createStreamWriter } from '#lvmsync/transport/stream-writer.js';
import { readAll } from '../../support/read-all.js';

/** A small seeded generator (mulberry32), for sizes that differ but repeat. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

test('when writes and reads are of any size then the same bytes arrive, and answers come back', async () => {
  const next = random(7);
  const received = createHash('sha256');
  const channel = localChannel(async (input, output) => {
    for (;;) {
      const into = Buffer.alloc(1 + Math.floor(next() * 100_000));
      const count = await input.read(into);
      if (count === 0) break;
      received.update(into.subarray(0, count));
      if (next() < 0.3) await new Promise((resolve) => setImmediate(resolve));
    }
    output.write(Buffer.from('done'));
    output.end();
  });
  const sent = createHash('sha256');
  const writer = createStreamWriter(channel.input);
  for (let round = 0; round < 300; round++) {
    const chunk = Buffer.alloc(Math.floor(next() * 200_000), round);
    sent.update(chunk);
    await writer.write(chunk);
  }
  channel.input.end();
  assert.equal((await readAll(channel.answers)).toString(), 'done');
  assert.deepEqual(await channel.end, { status: 0, signal: null });
  assert.equal(received.digest('hex'), sent.digest('hex'));
});

test('when the reader is slow then a write calls back only after its bytes were read', async () => {
  const asked: (() => void)[] = [];
  let read = 0;
  const channel = localChannel(async (input) => {
    const into = Buffer.alloc(10);
    for (;;) {
      await new Promise<void>((resolve) => asked.push(resolve));
      const count = await input.read(into);
      if (count === 0) return;
      read += count;
    }
  });
  let calls = 0;
  const buffer = Buffer.alloc(25, 'x');
  channel.input.write(buffer, () => calls++);
  channel.input.end();
  while (read < 25) {
    await new Promise((resolve) => setImmediate(resolve));
    if (read < 25) assert.equal(calls, 0);
    asked.shift()?.();
  }
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(calls, 1);
  asked.shift()?.();
  assert.equal((await channel.end).status, 0);
});

test('when nobody reads then write asks to wait', () => {
  const channel = localChannel(() => new Promise(() => {}));
  const chunk = Buffer.alloc(256 * 1024);
  let written = 0;
  for (; !channel.input.writableNeedDrain && written < 100; written++) channel.input.write(chunk);
  assert.ok(written < 8, `${written} writes of 256 KiB were taken`);
});

test('when the receiver throws then its error is the end and a waiting write fails', async () => {
  const failure = new LvmsyncError('WRITE_FAILED', 'no space', { errno: 'ENOSPC' });
  const channel = localChannel(async (input) => {
    await input.read(Buffer.alloc(1));
    throw failure;
  });
  const writeError = new Promise((resolve) => channel.input.write(Buffer.alloc(100), resolve));
  assert.equal((await channel.end).error, failure);
  assert.ok((await writeError) instanceof Error);
  const later = await new Promise((resolve) => channel.input.write(Buffer.alloc(100), resolve));
  assert.ok(later instanceof Error);
});

test('when the receiver throws anything else then it ends as an internal error', async () => {
  const channel = localChannel(async () => {
    throw new TypeError('oops');
  });
  const { error } = await channel.end;
  assert.equal(error?.code, 'INTERNAL');
  assert.match(error?.message ?? '', /oops/);
});

test('when the receiver ends early without an error then writes fail instead of waiting', async () => {
  const channel = localChannel(async () => {});
  assert.equal((await channel.end).status, 0);
  const error = await new Promise((resolve) => channel.input.write(Buffer.alloc(1), resolve));
  assert.ok(error instanceof Error);
});

test('when the sender is destroyed midway then the reader gets an error, not an end', async () => {
  const channel = localChannel(async (input) => {
    const into = Buffer.alloc(10);
    while ((await input.read(into)) > 0);
  });
  channel.input.write(Buffer.alloc(13));
  await new Promise((resolve) => setImmediate(resolve));
  channel.destroy();
  const { error } = await channel.end;
  assert.equal(error?.code, 'STREAM_TRUNCATED');
});

test('when it is destroyed after the last write and before all was read then the reader gets an error', async () => {
  const asked: (() => void)[] = [];
  const channel = localChannel(async (input) => {
    await new Promise<void>((resolve) => asked.push(resolve));
    while ((await input.read(Buffer.alloc(10))) > 0);
  });
  const written = new Promise((resolve) => channel.input.write(Buffer.alloc(13), resolve));
  channel.input.end();
  channel.destroy();
  assert.ok((await written) instanceof Error);
  while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
  asked.shift()?.();
  assert.equal((await channel.end).error?.code, 'STREAM_TRUNCATED');
});

test('when answers wait then they have arrived, and when they are to be dropped then nobody waits for a reader', async () => {
  const written: (Error | null | undefined)[] = [];
  const channel = localChannel(async (_, output) => {
    output.write(Buffer.alloc(100), (failure) => written.push(failure));
    while (written.length === 0) await new Promise((resolve) => setImmediate(resolve));
    output.write(Buffer.alloc(3 << 20), (failure) => written.push(failure));
  });
  assert.ok(await channel.answers.arrive());
  assert.equal(await channel.answers.read(Buffer.alloc(60)), 60);
  assert.ok(await channel.answers.arrive());
  assert.deepEqual(written, []);
  channel.answers.discard();
  assert.equal((await channel.end).status, 0);
  assert.deepEqual(written, [undefined, undefined]);
  assert.equal(await channel.answers.arrive(), false);
});

test('when nothing is answered before the end then nothing arrives', async () => {
  const channel = localChannel(async () => {});
  assert.equal(await channel.answers.arrive(), false);
  assert.equal(await channel.answers.read(Buffer.alloc(1)), 0);
});
