import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import {
  type ClassicRecord,
  createWorkbench,
  decodeStream,
  fixture,
  recordedOrigin,
  storedChunks,
  withRecords,
} from './classic.js';

const bench = createWorkbench();
after(() => bench.remove());
const origin = recordedOrigin();
const originPath = bench.write('origin', origin);

function storePath(count: number): string {
  return bench.write(`store-${count}`, fixture(`cow-8s-${count}.img`));
}

/** What the target holds before: the origin with the old chunks back in place. */
function baseOf(count: number): Buffer {
  return withRecords(origin, storedChunks(fixture(`cow-8s-${count}.img`)));
}

function sourceArguments(count: number): string[] {
  return ['--cow-device', storePath(count), '--data-source', originPath];
}

/** A store without exceptions, made of a recorded one. */
function emptyStore(): string {
  const store = fixture('cow-8s-3.img');
  store.fill(0, 4096, 8192);
  return bench.write('store-0', store);
}

/** In ascending order, those that touch made one. */
function sortedAndJoined(records: readonly ClassicRecord[]): ClassicRecord[] {
  const joined: ClassicRecord[] = [];
  for (const { offset, data } of [...records].sort((one, other) => one.offset - other.offset)) {
    const last = joined.at(-1);
    if (last !== undefined && last.offset + last.data.length === offset) {
      last.data = Buffer.concat([last.data, data]);
    } else {
      joined.push({ offset, data });
    }
  }
  return joined;
}

for (const count of [3, 256]) {
  test(`when ${count} chunks go to standard output then they are the original's, sorted and joined`, async () => {
    const { status, stdout, stderr } = await bench.lvmsync([...sourceArguments(count), '--stdout']);
    assert.equal(status, 0, stderr);
    const expected = sortedAndJoined(decodeStream(fixture(`ruby-sender-${count}.stream`)));
    assert.deepEqual(decodeStream(stdout), expected);
  });
}

test('when nothing has changed then the stream is the recorded 17 bytes', async () => {
  const args = ['--cow-device', emptyStore(), '--data-source', originPath, '-s'];
  const { status, stdout, stderr } = await bench.lvmsync(args);
  assert.equal(status, 0, stderr);
  assert.equal(stdout.length, 17);
  assert.deepEqual(stdout, fixture('p3-empty.stream'));
});

const snapback = bench.path('snapback');
for (const [ours, classic] of [
  [[], []],
  [['-v'], ['-v']],
  [['-d'], ['-d']],
  [
    ['-d', '-v'],
    ['-v', '-d'],
  ],
  [
    ['--snapback', snapback, '--verbose'],
    ['--snapback', snapback, '-v'],
  ],
  [['--quiet'], []],
]) {
  test(`when the original receives, options [${ours!.map((word) => word.replace(snapback, 'FILE'))}], then it is started the classic way`, async () => {
    const base = baseOf(256);
    const target = bench.write('target', base);
    const args = [...sourceArguments(256), '-e', bench.rsh, ...ours!, `root@backup:${target}`];
    const { status, stderr } = await bench.lvmsync(args);
    assert.equal(status, 0, stderr);
    const [first, ...others] = bench.receivedArguments();
    assert.ok(first?.join(' ').includes('--protocol 4'), 'our protocol is tried first');
    assert.deepEqual(others, [['--apply', '-', ...classic!, target]]);
    assert.ok(readFileSync(target).equals(origin));
    if (!ours!.includes('--quiet')) assert.match(stderr, /^WARNING: .*PROTO\[3\] only/m);
    assert.doesNotMatch(stderr, /invalid option/);
  });
}

test('when PROTO[3] is asked for then the original is started once, the classic way', async () => {
  const target = bench.write('target', baseOf(256));
  const args = [...sourceArguments(256), '-e', bench.rsh, '--protocol', '3', `backup:${target}`];
  const { status, stderr } = await bench.lvmsync(args);
  assert.equal(status, 0, stderr);
  assert.deepEqual(bench.receivedArguments(), [['--apply', '-', target]]);
  assert.ok(readFileSync(target).equals(origin));
  assert.doesNotMatch(stderr, /WARNING/);
});

test('when PROTO[4] is asked for then an original receiver is refused', async () => {
  const base = baseOf(256);
  const target = bench.write('target', base);
  const args = [...sourceArguments(256), '-e', bench.rsh, '--protocol', '4', `backup:${target}`];
  const { status, stderr } = await bench.lvmsync(args);
  assert.equal(status, 5, stderr);
  assert.match(stderr, /invalid option/);
  assert.ok(readFileSync(target).equals(base));
});

test('when the original took a snapback of our stream then ours restores with it', async () => {
  const base = baseOf(3);
  const target = bench.write('target', base);
  const path = bench.path('snapback-3');
  const args = [...sourceArguments(3), '-e', bench.rsh, '-b', path, `backup:${target}`];
  const sent = await bench.lvmsync(args);
  assert.equal(sent.status, 0, sent.stderr);
  assert.ok(readFileSync(target).equals(origin));
  const restored = await bench.lvmsync(['--apply', path, target]);
  assert.equal(restored.status, 0, restored.stderr);
  assert.ok(readFileSync(target).equals(base));
});

test('when both sides are ours then the target is right, over rsh and in one process', async () => {
  for (const destination of [`backup:${bench.path('target')}`, bench.path('target')]) {
    const target = bench.write('target', baseOf(256));
    const args = [...sourceArguments(256), '-e', bench.rsh, destination];
    const { status, stderr } = await bench.lvmsync(args, { far: 'ours' });
    assert.equal(status, 0, stderr);
    assert.ok(readFileSync(target).equals(origin), destination);
  }
});

test('when all went well then the last two lines are the classic ones', async () => {
  const target = bench.write('target', baseOf(256));
  const args = [...sourceArguments(256), '-e', bench.rsh, `backup:${target}`];
  const { stderr } = await bench.lvmsync(args);
  const [transferred, faster] = stderr.trimEnd().split('\n').slice(-2);
  assert.match(transferred ?? '', /^Transferred 1048576 bytes in \d+(\.\d+)? seconds$/);
  assert.equal(faster, 'You transferred your changes 8.00x faster than a full dd!');
});

test('when it is to be quiet then success says nothing', async () => {
  const target = bench.write('target', baseOf(3));
  const args = [...sourceArguments(3), '-q', '-e', bench.rsh, `backup:${target}`];
  const { status, stderr, stdout } = await bench.lvmsync(args);
  assert.equal(status, 0);
  assert.equal(stderr, '');
  assert.equal(stdout.length, 0);
});

for (const far of ['original', 'ours'] as const) {
  test(`when the receiver, ${far}, fails then its words and its status reach the user`, async () => {
    const target = bench.path('no such target');
    const args = [...sourceArguments(256), '-e', bench.rsh, `backup:${target}`];
    const { status, stderr } = await bench.lvmsync(args, { far });
    assert.notEqual(status, 0);
    assert.match(stderr, /no such target/);
    const reason = far === 'ours' ? /no such target does not exist$/m : /ended with exit status \d/;
    assert.match(stderr, /^FATAL ERROR: .*rsh backup/m);
    assert.match(stderr, reason);
    assert.doesNotMatch(stderr, /Transferred/);
  });
}

test('when the far side prints and fails then both the text and the number are told', async () => {
  const script = '#!/bin/sh\ncat >/dev/null\necho "disk on fire" >&2\nexit 42\n';
  const rsh = bench.write('failing', Buffer.from(script));
  const args = [...sourceArguments(3), '-e', `sh ${rsh}`, '--protocol', '3', 'backup:/dev/null'];
  const { status, stderr } = await bench.lvmsync(args);
  assert.notEqual(status, 0);
  assert.match(stderr, /^disk on fire$/m);
  assert.match(stderr, /^FATAL ERROR: .*exit status 42/m);
});

test('when the far side takes a part and ends well then that is no success', async () => {
  const rsh = bench.write('leaving', Buffer.from('#!/bin/sh\nhead -c 100000 >/dev/null\n'));
  const args = [...sourceArguments(256), '-e', `sh ${rsh}`, '--protocol', '3', 'backup:/dev/null'];
  const { status, stderr } = await bench.lvmsync(args);
  assert.notEqual(status, 0);
  assert.match(stderr, /^FATAL ERROR: the receiver stopped taking data/m);
  assert.doesNotMatch(stderr, /Transferred/);
});

test('when the far side never answers then that is told after the timeout', async () => {
  const rsh = bench.write('silent', Buffer.from('#!/bin/sh\ncat >/dev/null\n'));
  const args = [...sourceArguments(3), '-e', `sh ${rsh}`, '--timeout', '1', 'backup:/dev/null'];
  const { status, stderr } = await bench.lvmsync(args);
  assert.equal(status, 4, stderr);
  assert.match(stderr, /^FATAL ERROR: .*backup: nothing came for 1 seconds/m);
});

test('when the far side has no lvmsync then that is said at once', async () => {
  const script = `#!/bin/sh\nshift\nPATH=/nonexistent\nexec /bin/sh -c "$*"\n`;
  const rsh = bench.write('without', Buffer.from(script));
  const args = [...sourceArguments(256), '-e', `sh ${rsh}`, 'backup:/dev/null'];
  const { status, stderr } = await bench.lvmsync(args);
  assert.notEqual(status, 0);
  assert.match(stderr, /^FATAL ERROR: .*lvmsync was not found there/m);
});

test('when the target is the data source or the store then it is refused, untouched', async () => {
  const store = storePath(3);
  for (const target of [originPath, store]) {
    const before = readFileSync(target);
    const { status, stderr } = await bench.lvmsync([...sourceArguments(3), '--force', target]);
    assert.notEqual(status, 0);
    assert.match(stderr, /^FATAL ERROR: .* is the source/m);
    assert.ok(readFileSync(target).equals(before));
  }
});

test('when a local target is smaller than the origin then it is refused, untouched', async () => {
  const base = baseOf(3).subarray(0, origin.length - 1);
  const target = bench.write('target', base);
  const { status, stderr } = await bench.lvmsync([...sourceArguments(3), target]);
  assert.notEqual(status, 0);
  assert.match(
    stderr,
    /^FATAL ERROR: .* is too small: it holds 8388607 bytes, 8388608 are needed$/m,
  );
  assert.ok(readFileSync(target).equals(base));
});
