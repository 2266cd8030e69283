import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
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
