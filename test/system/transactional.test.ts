import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createDelta } from '../support/delta.js';
import { bytesOf, lvmsyncKilled } from '../support/interrupt.js';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { createRandom } from '../support/random.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();
const state = join(directory, 'state');
process.env.LVMSYNC_STATE_DIR = state;
const delta = createDelta(directory, 1, 12 << 20);
const { before, after, holds } = delta;

const inState = (ending: string) =>
  existsSync(state)
    ? readdirSync(state)
        .filter((name) => name.endsWith(ending))
        .map((name) => join(state, name))
    : [];

test('when a transactional run is whole, then the target is new, its snapback right, and no spool left', async () => {
  const target = delta.target('t-whole');
  const undo = delta.path('undo-whole');
  await lvmsyncOk([...delta.source, target, '--transactional', '--snapback', undo]);
  assert.ok(holds(target, after));
  assert.deepEqual(readdirSync(state), []);
  await lvmsyncOk(['rollback', undo, target]);
  assert.ok(holds(target, before));
});

test('when the stream is cut or damaged, then the target is untouched and no spool left', async () => {
  const stream = readFileSync(await delta.stream(4));
  const target = delta.target('t-bad');
  const flipped = Buffer.from(stream);
  flipped[stream.length - 5000]! ^= 1;
  const args = ['--apply', '-', '--transactional', target];
  for (const input of [
    flipped,
    stream.subarray(0, stream.length - 300),
    stream.subarray(0, 5000),
  ]) {
    await lvmsyncFails(args, 7, /checksum|stream ends/, { input });
    assert.ok(holds(target, before));
    assert.deepEqual(readdirSync(state), []);
  }
  await lvmsyncOk(args, { input: stream });
  assert.ok(holds(target, after));
});

test('when the receiver is killed while it spools, then the target is untouched and the next run drops the spool', async () => {
  const stream = await delta.stream(4);
  const random = createRandom(2);
  for (let round = 0; round < 3; round++) {
    const target = delta.target('t-spooling');
    const threshold = 300 + random.below(delta.changedBytes / 2);
    const args = ['--apply', stream, '--transactional', '--engine', 'js', target];
    const isTime = () => inState('.partial').some((path) => bytesOf(path) >= threshold);
    await lvmsyncKilled(args, isTime);
    if (inState('.spool').length === 0) assert.ok(holds(target, before) || holds(target, after));
    await lvmsyncOk(['--apply', stream, target]);
    assert.ok(holds(target, after));
    assert.deepEqual(readdirSync(state), []);
  }
});

test('when the receiver is killed while it applies, then the next run, whatever it is, completes it', async () => {
  const stream = await delta.stream(4);
  const empty = delta.path('empty');
  writeFileSync(empty, 'lvmsync PROTO[3]\n');
  const random = createRandom(3);
  let cut = 0;
  for (let round = 0; round < 6; round++) {
    const target = delta.target('t-applying');
    const undo = delta.path(`undo-applying-${round}`);
    const args = ['--apply', stream, '--transactional', '--snapback', undo, target];
    await lvmsyncKilled(args, () => inState('.spool').length > 0, random.below(8));
    if (inState('.spool').length === 0) continue;
    cut++;
    const next = round % 2 === 0 ? ['--apply', empty, target] : ['rollback', undo, target];
    const { stderr } = await lvmsyncOk(next);
    assert.match(stderr, /was cut while it changed .*: completing it first/);
    assert.ok(holds(target, round % 2 === 0 ? after : before), `round ${round}`);
    assert.deepEqual(inState('.spool'), []);
    await lvmsyncOk(['rollback', undo, target]);
    assert.ok(holds(target, before));
  }
  assert.ok(cut > 0, 'no run was killed before its end');
});

test('when a pending spool is damaged, then every run on its target is refused, naming it', async () => {
  const stream = await delta.stream(4);
  const target = delta.target('t-pending');
  const kept = delta.path('kept');
  let name: string | undefined;
  await lvmsyncKilled(['--apply', stream, '--transactional', target], () => {
    name = inState('.spool')[0];
    if (name !== undefined) copyFileSync(name, kept);
    return name !== undefined;
  });
  assert.ok(name !== undefined, 'no spool was seen');
  const bytes = readFileSync(kept);
  bytes[bytes.length >> 1]! ^= 4;
  writeFileSync(name, bytes);
  const held = readFileSync(target);
  await lvmsyncFails(['--apply', stream, target], 7, /the spool .* cannot be applied/);
  assert.ok(holds(target, held));
  copyFileSync(kept, name);
  await lvmsyncOk(['--apply', stream, target]);
  assert.ok(holds(target, after));
});

test('when the spool cannot be written, then it is an error, the target is untouched and the rest is removed', async () => {
  const target = delta.target('t-full');
  rmSync(state, { recursive: true, force: true });
  writeFileSync(state, 'in the way');
  const args = [...delta.source, target, '--transactional'];
  await lvmsyncFails(args, 6, /state directory .* is not a directory/);
  rmSync(state);
  mkdirSync(state);
  chmodSync(state, 0o777);
  await lvmsyncFails(args, 6, /written to by other users/);
  chmodSync(state, 0o700);
  assert.ok(holds(target, before));
});

test('when the stream is PROTO[3], then --transactional is refused', async () => {
  const target = delta.target('t-proto3');
  const stream = await delta.stream(3);
  await lvmsyncFails(
    ['--apply', stream, '--transactional', target],
    2,
    /needs a PROTO\[4\] stream/,
  );
  await lvmsyncFails(
    [...delta.source, target, '--transactional', '--protocol', '3'],
    2,
    /PROTO\[4\]/,
  );
  assert.ok(holds(target, before));
});
