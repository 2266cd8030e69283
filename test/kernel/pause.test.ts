import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { LvmsyncError } from '#lvmsync/errors.js';
import { type PauseOptions, whilePaused } from '#lvmsync/lvm/pause.js';
import { mustRun, runCommand } from '../support/command.js';
import { kernelTests } from '../support/kernel.js';

const MOUNTS = ['/run/one', '/run/two'];
const PRE = '/run/pre';
const POST = '/run/post';

kernelTests(import.meta.url, { disks: ['16M', '16M'] }, (disks) => {
  before(async () => {
    for (const [i, disk] of disks.entries()) {
      await mustRun('mkfs.ext4', ['-q', '-F', disk]);
      mkdirSync(MOUNTS[i]!);
      await mustRun('mount', [disk, MOUNTS[i]!]);
    }
  });
  after(async () => {
    for (const mount of MOUNTS) await mustRun('umount', [mount]);
  });
  beforeEach(() => {
    for (const path of [PRE, POST]) rmSync(path, { force: true });
  });

  let printed = '';
  const options: PauseOptions = {
    mountPoints: MOUNTS,
    pre: `touch ${PRE}`,
    post: `echo going on; touch ${POST}`,
    limitSeconds: 60,
    onOutput: (chunk) => {
      printed += chunk;
    },
  };

  /** The kernel tells in this way only. */
  async function isFrozen(mount: string): Promise<boolean> {
    const { status } = await runCommand('fsfreeze', ['--freeze', mount]);
    if (status === 0) await mustRun('fsfreeze', ['--unfreeze', mount]);
    return status !== 0;
  }

  async function assertAllFrozen(expected: boolean): Promise<void> {
    for (const mount of MOUNTS) assert.equal(await isFrozen(mount), expected, mount);
  }

  const failsWith = (words: RegExp) => (error: unknown) =>
    error instanceof LvmsyncError && error.code === 'PAUSE_FAILED' && words.test(error.message);

  test('while it is paused then file systems are frozen, between the two commands', async () => {
    await whilePaused(options, async () => {
      await assertAllFrozen(true);
      assert.ok(existsSync(PRE) && !existsSync(POST));
    });
    await assertAllFrozen(false);
    assert.ok(existsSync(POST));
    assert.match(printed, /going on/);
  });

  test('when the work fails then all goes on', async () => {
    const failing = whilePaused(options, async () => {
      throw new Error('no');
    });
    await assert.rejects(failing, /^Error: no$/);
    await assertAllFrozen(false);
    assert.ok(existsSync(POST));
  });

  test('when the process is killed then all goes on', async () => {
    const pause = new URL('../../dist/lvm/pause.js', import.meta.url);
    const program = `
      import { whilePaused } from '${pause}';
      await whilePaused(${JSON.stringify({ ...options, onOutput: undefined })}, async () => {
        process.stdout.write('paused');
        await new Promise((resolve) => setTimeout(resolve, 100_000));
      });`.replace('{"mount', '{onOutput() {},"mount');
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    await assertAllFrozen(true);
    child.kill('SIGKILL');
    while (!existsSync(POST)) await delay(20);
    await assertAllFrozen(false);
  });

  test('when it takes too long then all goes on, and it fails', async () => {
    const late = whilePaused({ ...options, limitSeconds: 1 }, async () => {
      while (!existsSync(POST)) await delay(20);
      await assertAllFrozen(false);
    });
    await assert.rejects(late, failsWith(/within 1 s/));
  });

  test('when a file system is frozen already then it stays so, and the others are thawed', async () => {
    await mustRun('fsfreeze', ['--freeze', MOUNTS[1]!]);
    let worked = false;
    const refused = whilePaused(options, async () => {
      worked = true;
    });
    await assert.rejects(refused, failsWith(/could not be frozen/));
    assert.ok(!worked && existsSync(POST));
    assert.deepEqual([await isFrozen(MOUNTS[0]!), await isFrozen(MOUNTS[1]!)], [false, true]);
    await mustRun('fsfreeze', ['--unfreeze', MOUNTS[1]!]);
  });

  test('when a command fails then it is said, and all goes on', async () => {
    const before = whilePaused({ ...options, pre: 'exit 7' }, () => assert.fail('worked'));
    await assert.rejects(before, failsWith(/"exit 7" failed: no snapshot/));
    const behind = whilePaused({ ...options, post: 'exit 8' }, async () => {});
    await assert.rejects(behind, failsWith(/"exit 8" failed after/));
    await assertAllFrozen(false);
  });
});
