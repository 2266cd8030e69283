import assert from 'node:assert/strict';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { mustRun } from '../support/command.js';
import { copyDevice, deviceBytes, fillDevice, writeAt } from '../support/devices.js';
import { type Receiver, startReceiver } from '../support/hosts.js';
import { kernelTests } from '../support/kernel.js';
import {
  createGroup,
  createSnapshot,
  createVolume,
  removeGroup,
  removeVolumes,
  snapshotStatus,
} from '../support/lvm.js';
import { lvmsyncFails } from '../support/lvmsync.js';
import { lvmsyncPath } from '../support/repository.js';
import {
  createTarget,
  createTargetGroup,
  deviceDigest,
  removeTarget,
  syncAndCompare,
  type Target,
} from '../support/transfer.js';

const MIB = 1024 * 1024;
const REFUSED = 3;
const INTEGRITY = 7;

const RIG = { disks: ['192M', '64M', '32M'], modules: ['dm-delay'] };

kernelTests(import.meta.url, RIG, ([disk, receiverDisk, slowDisk]) => {
  let receiver: Receiver;
  let origin: string;
  let target: Target;
  before(async () => {
    await createGroup('near', [disk!]);
    receiver = await startReceiver({ disks: [receiverDisk!] });
    await createTargetGroup(receiver, receiverDisk!);
    origin = await createVolume('near', 'origin', 8 * MIB, 1);
    target = await createTarget(receiver, origin);
  });
  after(async () => {
    await removeTarget(receiver, target);
    await receiver.stop();
    await removeGroup('near');
  });

  /** A snapshot of the origin, with the target made a copy of it. */
  async function snapshotAndCopy(
    context: TestContext,
    name: string,
    storeBytes: number,
  ): Promise<string> {
    const snapshot = await createSnapshot('near', 'origin', name, storeBytes);
    context.after(() => removeVolumes(snapshot));
    await copyDevice(snapshot, target.path);
    return snapshot;
  }

  /** Expects the run to fail with that status and message, and the target to be as before. */
  async function refused(source: string, status: number, message: RegExp, to = target) {
    const before = await deviceDigest(to.path);
    await lvmsyncFails([source, to.destination], status, message);
    assert.equal(await deviceDigest(to.path), before, 'the target was written');
  }

  test('when a snapshot has overflowed before then it is refused', async (context) => {
    const snapshot = await snapshotAndCopy(context, 'small', 4 * MIB);
    await fillDevice(origin, 2);
    assert.equal((await snapshotStatus(snapshot)).text, 'Invalid');
    await refused(snapshot, INTEGRITY, /^FATAL ERROR: .*small.*(filled up|overflow|invalid)/im);
  });

  /** Runs lvmsync, and `meanwhile` after it has read the changes and before the far side ends. */
  async function failsMeanwhile(args: string[], message: RegExp, meanwhile: () => unknown) {
    const directory = await mkdtemp(join(tmpdir(), 'lvmsync-meanwhile-'));
    const slow = join(directory, 'slow-lvmsync');
    const [started, go] = [join(directory, 'started'), join(directory, 'go')];
    writeFileSync(
      slow,
      `#!/bin/sh\ntouch ${started}\nwhile [ ! -e ${go} ]; do sleep 0.05; done\nexec ${lvmsyncPath} "$@"\n`,
    );
    chmodSync(slow, 0o755);
    const command = ['--remote-command', slow, ...args, target.destination];
    const run = lvmsyncFails(command, INTEGRITY, message);
    const ended = run.then(
      () => true,
      () => true,
    );
    while (!existsSync(started) && !(await Promise.race([ended, sleep(50)]))) {}
    await meanwhile();
    writeFileSync(go, '');
    await run;
  }

  test('when a snapshot overflows during the transfer then the run fails', async (context) => {
    const snapshot = await snapshotAndCopy(context, 'small', 4 * MIB);
    writeAt(origin, 3, [{ offset: 0, length: 65536 }]);
    // Without the check of the target, which a snapshot that is gone cannot pass in the first place.
    const args = ['--no-verify-base', snapshot];
    await failsMeanwhile(args, /^FATAL ERROR: .*small.*filled up/m, () => fillDevice(origin, 4));
    assert.equal((await snapshotStatus(snapshot)).text, 'Invalid');
  });

  test('when the origin is written during the transfer then the run fails, and the next one is right', async (context) => {
    const snapshot = await snapshotAndCopy(context, 'grows', 16 * MIB);
    writeAt(origin, 6, [{ offset: 0, length: 65536 }]);
    await failsMeanwhile([snapshot], /^FATAL ERROR: .*grows.*more chunks/m, () =>
      writeAt(origin, 7, [{ offset: MIB, length: 4096 }]),
    );
    await syncAndCompare(snapshot, origin, target);
  });

  test('when a snapshot is being merged then it is refused, by its name and by its origin', async () => {
    // A merge would be over before it can be looked at, so its disk takes its time for a write.
    const sectors = (await deviceBytes(slowDisk!)) / 512;
    const disk = await mustRun('stat', ['--format', '%Hr:%Lr', slowDisk!]);
    await mustRun('rm', [slowDisk!]); // LVM would see the same volume on both
    const delay = async (milliseconds: number, ...action: string[]) => {
      const table = `0 ${sectors} delay ${disk} 0 0 ${disk} 0 ${milliseconds}`;
      await mustRun('dmsetup', [...action, 'slow', '--table', table]);
    };
    const setDelay = async (milliseconds: number) => {
      await mustRun('dmsetup', ['suspend', '--noflush', 'slow']);
      await delay(milliseconds, 'reload');
      await mustRun('dmsetup', ['resume', 'slow']);
    };
    await delay(0, 'create');
    await createGroup('slow', ['/dev/mapper/slow']);
    const merged = await createVolume('slow', 'merged', 8 * MIB, 8);
    const snapshot = await createSnapshot('slow', 'merged', 'merging', 12 * MIB);
    const scattered = Array.from({ length: 100 }, (_, index) => index * 65536);
    writeAt(
      merged,
      9,
      scattered.map((offset) => ({ offset, length: 4096 })),
    );
    await mustRun('lvchange', ['--quiet', '-an', 'slow']);
    await mustRun('lvconvert', ['--quiet', '--merge', 'slow/merging']); // at the next activation
    await setDelay(300);
    await mustRun('lvchange', ['--quiet', '-ay', '--poll', 'n', 'slow/merged']);
    await refused('slow/merged', REFUSED, /^FATAL ERROR: .*merg/m);
    await refused(snapshot, REFUSED, /^FATAL ERROR: /m);
    const { usedSectors, metadataSectors } = await snapshotStatus(merged);
    assert.ok(usedSectors > metadataSectors, 'the merge was over too soon to show anything');

    await setDelay(0);
    await removeGroup('slow');
    await mustRun('dmsetup', ['remove', 'slow']);
  });

  test('when the source is not a snapshot then it is refused with the reason', async () => {
    await refused('near/origin', REFUSED, /^FATAL ERROR: .*snapshot/m);
    await refused(disk!, REFUSED, /^FATAL ERROR: .*/m);
  });

  test('when a snapshot has a transient store then it is refused', async () => {
    const store = await createVolume('near', 'store', 4 * MIB);
    const sectors = (await deviceBytes(origin)) / 512;
    const table = `0 ${sectors} snapshot ${origin} ${store} N 8`;
    await mustRun('dmsetup', ['create', 'transient', '--table', table]);
    await refused('/dev/mapper/transient', REFUSED, /^FATAL ERROR: .*transient/m);
    await mustRun('dmsetup', ['remove', 'transient']);
    await removeVolumes(store);
  });

  test('when the target is mounted, swapped on or held on the far side then it is refused', async (context) => {
    const snapshot = await snapshotAndCopy(context, 'changes', 8 * MIB);
    writeAt(origin, 10, [{ offset: 0, length: 65536 }]);
    const { remotePath } = target;
    const message = (text: string) => new RegExp(`^FATAL ERROR: .*${text}`, 'm');

    await receiver.mustRun('mkfs.ext4', ['-q', remotePath]);
    await receiver.mustRun('mkdir', ['-p', '/run/mounted']);
    await receiver.mustRun('mount', [remotePath, '/run/mounted']);
    await lvmsyncFails([snapshot, target.destination], REFUSED, message('mounted'));
    await receiver.mustRun('umount', ['/run/mounted']);

    await receiver.mustRun('mkswap', ['-q', remotePath]);
    await receiver.mustRun('swapon', [remotePath]);
    await refused(snapshot, REFUSED, message('swap'));
    await receiver.mustRun('swapoff', [remotePath]);

    await receiver.mustRun('dmsetup', [
      'create',
      'holder',
      '--table',
      `0 8 linear ${remotePath} 0`,
    ]);
    await refused(snapshot, REFUSED, message('(in use|held|holds)'));
    await receiver.mustRun('dmsetup', ['remove', 'holder']);

    await syncAndCompare(snapshot, origin, await createTarget(receiver, snapshot, 'good'));
  });

  test('when the target is too small then it is refused, here and on the far side', async (context) => {
    const snapshot = await snapshotAndCopy(context, 'changes', 8 * MIB);
    writeAt(origin, 11, [{ offset: 7 * MIB, length: 65536 }]);
    const local = await createVolume('near', 'small', 4 * MIB, 1);
    context.after(() => removeVolumes(local));
    const before = await deviceDigest(local);
    await lvmsyncFails([snapshot, local], REFUSED, /^FATAL ERROR: .*small/m);
    assert.equal(await deviceDigest(local), before, 'the target was written');

    const small = await createTarget(receiver, local, 'small');
    context.after(() => removeTarget(receiver, small));
    await refused(snapshot, REFUSED, /^FATAL ERROR: .*the source has 8388608/m, small);
  });
});
