import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { temporaryDirectory } from '../support/temp-dir.js';
import {
  readOriginAfter,
  readOriginBefore,
  readStoreImage,
  type ThickFixture,
} from '../support/thick-fixtures.js';

const directory = temporaryDirectory();
const before = readOriginBefore();

/** The files of one fixture: a store, its origin, and a target that holds the base. */
function arrange(name: string, fixture: Exclude<ThickFixture, 'thick-4k-overflow'>) {
  const path = (file: string) => join(directory, `${name}-${file}`);
  const after = readOriginAfter(fixture);
  writeFileSync(path('cow'), readStoreImage(fixture));
  writeFileSync(path('origin'), after);
  writeFileSync(path('target'), before);
  return {
    after,
    path,
    source: ['--cow-device', path('cow'), '--data-source', path('origin')],
    target: path('target'),
    holds: (image: Buffer) => readFileSync(path('target')).equals(image),
  };
}

const FIXTURES = ['thick-4k', 'thick-64k', 'thick-64k-empty', 'thick-8k-snapwrites'] as const;

for (const fixture of FIXTURES) {
  for (const engine of ['native', 'js']) {
    test(`when the store of ${fixture} is synced with the ${engine} engine, then the base equals the origin`, async () => {
      const { source, target, holds, after } = arrange(`${fixture}-${engine}`, fixture);
      await lvmsyncOk([...source, target, '--engine', engine]);
      assert.ok(holds(after));
    });
  }
}

test('when the stream goes through a pipe, then the base equals the origin, and the snapback restores it', async () => {
  const { source, target, holds, after, path } = arrange('pipe', 'thick-4k');
  const { stdout } = await lvmsyncOk([...source, '--stdout']);
  await lvmsyncOk(['--apply', '-', '--snapback', path('snapback'), target], { input: stdout });
  assert.ok(holds(after));
  await lvmsyncOk(['--apply', path('snapback'), target]);
  assert.ok(holds(before));
});

test('when it has succeeded, then it says how much and how much faster, and with --quiet nothing', async () => {
  const { source, target } = arrange('summary', 'thick-4k');
  const { stdout, stderr } = await lvmsyncOk([...source, target]);
  assert.match(
    stderr,
    /^Sent \d+ bytes of stream\nAcknowledged: .*\nTransferred \d+ bytes in \d+\.\d+ seconds\nYou transferred your changes \d+\.\d\dx faster than a full dd!\n$/,
  );
  assert.equal(stdout.length, 0);
  const quiet = await lvmsyncOk([...source, target, '--quiet']);
  assert.equal(quiet.stderr, '');
});

test('when the store has overflowed, then it is refused and the target unchanged', async () => {
  const { source, target, holds, path } = arrange('overflow', 'thick-64k-empty');
  writeFileSync(path('cow'), readStoreImage('thick-4k-overflow'));
  await lvmsyncFails([...source, target], 7, /marked invalid/);
  assert.ok(holds(before));
});

test('when the target is a byte too small, then it is refused and unchanged', async () => {
  const { source, target, path } = arrange('small', 'thick-64k');
  const small = before.subarray(0, before.length - 1);
  writeFileSync(path('target'), small);
  await lvmsyncFails([...source, target], 3, /small/i);
  assert.ok(readFileSync(target).equals(small));
});

test('when the target is larger than the origin, then what lies beyond is untouched', async () => {
  const { source, target, after, path } = arrange('large', 'thick-64k');
  const tail = Buffer.from('what lies beyond');
  writeFileSync(path('target'), Buffer.concat([before, tail]));
  await lvmsyncOk([...source, target]);
  assert.ok(readFileSync(target).equals(Buffer.concat([after, tail])));
});

test('when the target is the source, then it is refused', async () => {
  const { source, path, after } = arrange('same', 'thick-64k');
  await lvmsyncFails([...source, path('origin')], 3, /source|origin/);
  assert.ok(readFileSync(path('origin')).equals(after));
});

const USAGE: [string, string[], RegExp][] = [
  ['nothing is given', [], /no snapshot given/],
  ['there is no destination', ['vg/snap'], /no destination/],
  ['there is a word too many', ['vg/snap', 'a:b', 'c'], /too many arguments|one word too many/],
  ['--stdout has a destination', ['vg/snap', '--stdout', '/dev/x'], /takes no destination/],
  ['--cow-device stands alone', ['--cow-device', '/dev/x', '/dev/y'], /needs --data-source/],
  ['quiet and verbose', ['-q', '-v', 'vg/snap', 'a:b'], /cannot be used with/],
  ['snapback and stdout', ['-b', 'f', '-s', 'vg/snap'], /cannot be used with/],
  ['an option is misspelt', ['--verbos', 'vg/snap', 'a:b'], /did you mean: --verbose/],
  ['--apply has no target', ['--apply', '-'], /needs a target/],
  ['--apply has two targets', ['--apply', '-', 'a', 'b'], /takes one target/],
];

for (const [what, args, message] of USAGE) {
  test(`when ${what}, then that is a usage error`, async () => {
    await lvmsyncFails(args, 2, message);
  });
}
