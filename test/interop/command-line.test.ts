import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { createWorkbench, fixture } from './classic.js';

const bench = createWorkbench();
after(() => bench.remove());
const store = bench.write('store', fixture('cow-8s-3.img'));
const origin = bench.write('origin', Buffer.alloc(8 << 20, 1));

async function isAnError(args: readonly string[], message: RegExp): Promise<void> {
  const base = fixture('dest-base.img');
  const target = bench.write('target', base);
  const words = args.map((word) => (word === 'TARGET' ? target : word));
  const { status, stdout, stderr } = await bench.lvmsync(words);
  assert.notEqual(status, 0);
  assert.equal(stdout.length, 0);
  assert.match(stderr, /^FATAL ERROR: /);
  assert.match(stderr, message);
  assert.doesNotMatch(stderr, /\n {4}at /, 'a stack trace');
  assert.ok(readFileSync(target).equals(base));
}

for (const loud of ['-v', '--verbose', '-d', '--debug']) {
  test(`when --quiet meets ${loud} then that is an error`, async () => {
    await isAnError(['-q', loud, '--apply', store, 'TARGET'], /quiet/);
  });
}

test('when --snapback meets --stdout then that is an error and no file is made', async () => {
  const snapback = bench.path('snapback');
  const source = ['--cow-device', store, '--data-source', origin];
  await isAnError([...source, '--stdout', '--snapback', snapback], /snapback/);
  assert.ok(!existsSync(snapback));
});

test('when an option is unknown, a word is missing or one too many then that is an error', async () => {
  await isAnError(['--no-such-option', 'TARGET'], /no-such-option/);
  await isAnError([], /snapshot/);
  await isAnError(['--apply', '-'], /target/);
  await isAnError(['--apply', '-', 'TARGET', 'TARGET'], /TARGET|target/);
  await isAnError(['--cow-device', store, '--data-source', origin], /destination/);
});

test('when the stream to apply is not there then its path is told', async () => {
  await isAnError(['--apply', '/no/such/stream', 'TARGET'], /\/no\/such\/stream/);
});

for (const option of ['-V', '--version']) {
  test(`when ${option} is given then the version is printed`, async () => {
    const { status, stdout } = await bench.lvmsync([option]);
    assert.equal(status, 0);
    assert.match(stdout.toString(), /^(lvmsync )?\d+\.\d+\.\d+\n$/);
  });
}
