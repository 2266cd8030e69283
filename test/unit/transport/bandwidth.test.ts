import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { LvmsyncError } from '#lvmsync/errors.js';
import { createBandwidth } from '#lvmsync/transport/bandwidth.js';
import { createStreamWriter } from '#lvmsync/transport/stream-writer.js';

const KIB = 1024;

/** Takes everything, and remembers it. */
function sink(): { output: Writable; taken: Buffer[] } {
  const taken: Buffer[] = [];
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      taken.push(chunk);
      done();
    },
  });
  return { output, taken };
}

function letters(letter: string, count: number): Buffer {
  return Buffer.alloc(count, letter);
}

test('a limit holds over all writers together, and nothing is lost or out of order', async () => {
  const bandwidth = createBandwidth({ bytesPerSecond: 200 * KIB });
  const sinks = [sink(), sink(), sink()];
  const startedAt = performance.now();
  await Promise.all(
    sinks.map(async ({ output }) => {
      const writer = createStreamWriter(output, bandwidth);
      // At once, as the parts of a record are.
      await Promise.all([
        writer.write(letters('a', 25 * KIB)),
        writer.write(letters('b', 5 * KIB)),
      ]);
      await writer.finish();
    }),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  // 90 KiB, less what may go at once: two pieces of 50 ms.
  assert.ok(seconds >= 0.34, `${seconds} s`);
  assert.equal(bandwidth.passedBytes, 90 * KIB);
  for (const { taken } of sinks) {
    const expected = Buffer.concat([letters('a', 25 * KIB), letters('b', 5 * KIB)]);
    assert.ok(Buffer.concat(taken).equals(expected));
  }
});

test('a limit that is lifted lets through at once what was waiting, in order', async () => {
  const bandwidth = createBandwidth({ bytesPerSecond: KIB });
  const { output, taken } = sink();
  const writer = createStreamWriter(output, bandwidth);
  const released: string[] = [];
  const first = writer.write(letters('a', KIB * KIB), () => released.push('a'));
  const second = writer.write(letters('b', 10), () => released.push('b'));
  bandwidth.limit(0);
  const third = writer.write(letters('c', 10), () => released.push('c'));
  await Promise.all([first, second, third]);
  await writer.finish();
  assert.deepEqual(released, ['a', 'b', 'c']);
  const expected = [letters('a', KIB * KIB), letters('b', 10), letters('c', 10)];
  assert.ok(Buffer.concat(taken).equals(Buffer.concat(expected)));
});

test('a writer that fails does not wait for its turn', async () => {
  const bandwidth = createBandwidth({ bytesPerSecond: KIB });
  const { output } = sink();
  const writer = createStreamWriter(output, bandwidth);
  let released = 0;
  const waiting = writer.write(letters('a', KIB * KIB), () => released++);
  const behind = writer.write(letters('b', KIB), () => released++);
  const failure = new LvmsyncError('CONNECTION_LOST', 'gone');
  writer.fail(failure);
  await assert.rejects(waiting, failure);
  await assert.rejects(behind, failure);
  assert.equal(released, 2);
});

test('without a limit bytes are written in one piece, and counted', async () => {
  const bandwidth = createBandwidth();
  const { output, taken } = sink();
  const writer = createStreamWriter(output, bandwidth);
  await writer.write(letters('a', KIB * KIB));
  assert.equal(taken.length, 1);
  assert.equal(bandwidth.passedBytes, KIB * KIB);
});
