import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeProto3Header } from '#lvmsync/stream/proto3.js';
import { createDelta } from '../support/delta.js';
import { bytesOf, lvmsyncKilled } from '../support/interrupt.js';
import { lvmsync, lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { createRandom } from '../support/random.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();
process.env.LVMSYNC_STATE_DIR = join(directory, 'state');
const delta = createDelta(directory, 1, 12 << 20);
const { before, after, holds } = delta;

for (const format of ['3', '4']) {
  for (const engine of ['native', 'js']) {
    test(`when a snapback in format ${format} is rolled back with the ${engine} engine, then the base is restored, again and again`, async () => {
      const target = delta.target(`t-${format}-${engine}`);
      const undo = delta.path(`undo-${format}-${engine}`);
      const options = ['--engine', engine, '--snapback-format', format, '--snapback', undo];
      await lvmsyncOk([...delta.source, target, ...options]);
      assert.ok(holds(target, after));
      for (let round = 0; round < 2; round++) {
        const { stderr } = await lvmsyncOk(['rollback', '--engine', engine, undo, target]);
        assert.ok(holds(target, before));
        const kind = format === '3' ? 'a PROTO\\[3\\] snapback' : 'the whole snapback';
        assert.match(stderr, new RegExp(`^Restored ${delta.changedBytes} bytes .* ${kind}`));
      }
    });
  }
}

test('when an undo log is applied as a stream, then it restores the base', async () => {
  const target = delta.target('t-apply');
  const undo = delta.path('undo-apply');
  await lvmsyncOk([...delta.source, target, '--snapback', undo]);
  await lvmsyncOk(['--apply', undo, target]);
  assert.ok(holds(target, before));
});

test('when the receiver is killed anywhere, then the target rolls back to the base, or is made new by another run', async () => {
  const stream = await delta.stream(4);
  const random = createRandom(2);
  let cut = 0;
  for (let round = 0; round < 12; round++) {
    const target = delta.target('t-killed');
    const undo = delta.path(`undo-killed-${round}`);
    const args = ['--apply', stream, '--snapback', undo, '--engine', 'js', target];
    const threshold = 300 + random.below(delta.changedBytes);
    const status = await lvmsyncKilled(args, () => bytesOf(undo) >= threshold, random.below(4));
    if (status === null) {
      cut++;
      await lvmsyncFails(['--apply', undo, target], 7, /interrupted run\n.*lvmsync rollback/);
    }
    if (round % 2 === 0 && status === null) {
      // Run again with the same snapback: it leads back to before both runs.
      await lvmsyncOk(args);
      assert.ok(holds(target, after));
    }
    const { stderr } = await lvmsyncOk(['rollback', undo, target]);
    if (status === null && round % 2 === 1) assert.match(stderr, /an interrupted run/);
    assert.ok(holds(target, before), `round ${round}`);
  }
  assert.ok(cut > 0, 'no run was killed before its end');
});

test('when a rollback is killed and run again, then the base is restored', async () => {
  const target = delta.target('t-again');
  const undo = delta.path('undo-again');
  await lvmsyncOk([...delta.source, target, '--snapback', undo]);
  const random = createRandom(3);
  for (let round = 0; round < 4; round++) {
    writeFileSync(target, after);
    const offset = random.below(before.length);
    // Once something of the base is back behind a random place, or after the whole.
    const isTime = () => !readFileSync(target).subarray(offset).equals(after.subarray(offset));
    await lvmsyncKilled(['rollback', '--engine', 'js', undo, target], isTime);
    await lvmsyncOk(['rollback', undo, target]);
    assert.ok(holds(target, before));
  }
});

test('when the snapback is of another target, then it is refused, and --force overrides it', async () => {
  const target = delta.target('t-mine');
  const other = delta.path('t-other');
  const undo = delta.path('undo-mine');
  await lvmsyncOk([...delta.source, target, '--snapback', undo]);
  writeFileSync(other, after);
  await lvmsyncFails(['rollback', undo, other], 3, /another target.*t-mine/);
  assert.ok(holds(other, after));
  await lvmsyncOk(['rollback', '--force', undo, other]);
  assert.ok(holds(other, before));
  writeFileSync(other, after.subarray(0, 1 << 20));
  await lvmsyncFails(['rollback', '--force', undo, other], 3, /restores up to byte/);
});

test('when the target is named by a link, then it is the same target', async () => {
  const target = delta.target('t-linked');
  const undo = delta.path('undo-linked');
  await lvmsyncOk([...delta.source, target, '--snapback', undo]);
  symlinkSync(target, delta.path('link'));
  await lvmsyncOk(['rollback', undo, delta.path('link')]);
  assert.ok(holds(target, before));
});

test('when the log is damaged, then it is refused, naming the offset, and the target is untouched', async () => {
  const target = delta.target('t-damaged');
  const undo = delta.path('undo-damaged');
  await lvmsyncOk([...delta.source, target, '--snapback', undo]);
  const whole = readFileSync(undo);
  const random = createRandom(4);
  for (let round = 0; round < 5; round++) {
    const bytes = Buffer.from(whole);
    bytes[1000 + random.below(whole.length - 2000)]! ^= 1 << random.below(8);
    writeFileSync(undo, bytes);
    await lvmsyncFails(['rollback', undo, target], 7, /damaged at offset \d+/);
    assert.ok(holds(target, after));
  }
});

test('when a classic snapback saved an offset twice, then the first of the two is what remains', async () => {
  const target = delta.path('t-classic');
  const undo = delta.path('undo-classic');
  writeFileSync(target, Buffer.alloc(100_000, 'new'));
  const image: Buffer = Buffer.alloc(100_000, 'new');
  const random = createRandom(5);
  const records = Array.from({ length: 9000 }, () => {
    const data = random.bytes(1 + random.below(20));
    return { offset: random.below(100_000 - data.length), data };
  });
  const parts: Buffer[] = [Buffer.from('lvmsync PROTO[3]\n')];
  for (const { offset, data } of records) {
    const header = Buffer.alloc(12);
    writeProto3Header(header, 0, offset, data.length);
    parts.push(header, data);
  }
  for (const { offset, data } of records.toReversed()) image.set(data, offset);
  const stream = Buffer.concat(parts);
  writeFileSync(undo, stream);
  await lvmsyncOk(['rollback', undo, target]);
  assert.ok(holds(target, image));

  writeFileSync(undo, stream.subarray(0, stream.length - 1));
  await lvmsyncFails(['rollback', undo, target], 7, /ends inside a record/);
  await lvmsyncOk(['rollback', '--force', undo, target]);
});

test('when a stream is rolled back, then it is refused', async () => {
  const target = delta.target('t-stream');
  await lvmsyncFails(['rollback', await delta.stream(4), target], 7, /is a stream, not a snapback/);
  assert.ok(holds(target, before));
});

test('when a target is named rollback, then a path tells it from the command', async () => {
  const target = delta.target('rollback');
  copyFileSync(await delta.stream(4), delta.path('stream'));
  await lvmsyncOk(['--apply', 'stream', './rollback'], { cwd: directory });
  assert.ok(holds(target, after));
  const { status, stderr } = await lvmsync(['rollback'], { cwd: directory });
  assert.equal(status, 2);
  assert.match(stderr, /missing required argument/);
  rmSync(target);
});
