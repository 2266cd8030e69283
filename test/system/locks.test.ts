import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Engine } from '#lvmsync/block/engine.js';
import { loadEngine } from '#lvmsync/block/engines.js';
import { acquireLock, isLocked } from '#lvmsync/block/lock.js';
import { createDelta } from '../support/delta.js';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { lvmsyncPath } from '../support/repository.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();
process.env.LVMSYNC_STATE_DIR = join(directory, 'state');
const delta = createDelta(directory, 1, 12 << 20);
const { after, before, holds } = delta;

/** A run of which the output is not read, once it has begun to speak. */
async function started(args: string[], bytes: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [lvmsyncPath, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await new Promise<void>((resolve, reject) => {
    let seen = 0;
    child.once('exit', () => reject(new Error('it ended at once')));
    child.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.length;
      if (seen < bytes) return;
      child.stdout.pause();
      resolve();
    });
  });
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

test('when a target is being written to, then a second writer is refused at once, until the first has died', async () => {
  const target = delta.target('target');
  symlinkSync(target, delta.path('link'));
  const stream = await delta.stream(4);
  // More than the label: its hello comes when it has the target.
  const first = await started(['--apply', '-', '--protocol', '4', target], 18);
  try {
    const message = /another lvmsync is writing to/;
    await lvmsyncFails(['--apply', stream, target], 3, message);
    await lvmsyncFails(['--apply', stream, '--force', target], 3, message);
    await lvmsyncFails(['--apply', stream, delta.path('link')], 3, message);
    await lvmsyncFails([...delta.source, target], 3, message);
    await lvmsyncFails(['rollback', stream, target], 3, message);
    assert.ok(holds(target, before));
    await lvmsyncOk(['--apply', stream, delta.target('other')]);
  } finally {
    await killed(first);
  }
  await lvmsyncOk(['--apply', stream, target]);
  assert.ok(holds(target, after));
});

test('when a store is being sent, then a second sender is refused at once, until the first has died', async () => {
  const target = delta.target('twice');
  const first = await started([...delta.source, '--stdout'], 1);
  try {
    await lvmsyncFails([...delta.source, target], 3, /another lvmsync is sending/);
    assert.ok(holds(target, before));
  } finally {
    await killed(first);
  }
  await lvmsyncOk([...delta.source, target]);
  assert.ok(holds(target, after));
});

const engines: Record<string, Pick<Engine, 'listenUnix'>> = {
  native: loadEngine('native').engine,
  js: loadEngine('js').engine,
};

for (const [holder, engine] of Object.entries(engines)) {
  for (const [other, othersEngine] of Object.entries(engines)) {
    test(`when the ${holder} engine has a lock then the ${other} engine is refused, until it is released`, async () => {
      const identity = `${holder} against ${other}`;
      const lock = await acquireLock('target', identity, '/dev/vg/a', engine);
      await assert.rejects(acquireLock('target', identity, '/dev/vg/b', othersEngine), {
        code: 'TARGET_IN_USE',
        message: 'another lvmsync is writing to /dev/vg/b',
      });
      const another = await acquireLock('target', `${identity}!`, '/dev/vg/c', othersEngine);
      await another.release();
      assert.equal(await isLocked('target', identity), true);
      await lock.release();
      assert.equal(await isLocked('target', identity), false);
      await (await acquireLock('target', identity, '/dev/vg/b', othersEngine)).release();
    });
  }

  test(`when the ${holder} engine has a lock then it is seen however often it is looked for`, async () => {
    const lock = await acquireLock('replica', 'often', '/dev/vg/a', engine);
    for (let look = 0; look < 100; look++) assert.ok(await isLocked('replica', 'often'));
    await lock.release();
    assert.equal(await isLocked('replica', 'often'), false);
  });
}
