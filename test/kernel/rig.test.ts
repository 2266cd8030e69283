import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { mustRun } from '../support/command.js';
import {
  assertSameDevices,
  compareDevices,
  copyDevice,
  deviceBytes,
  fillDevice,
  writeAt,
} from '../support/devices.js';
import { type Receiver, startReceiver } from '../support/hosts.js';
import { kernelTests } from '../support/kernel.js';
import {
  createGroup,
  createSnapshot,
  createVolume,
  exceptionCount,
  removeGroup,
  removeVolumes,
  snapshotStatus,
} from '../support/lvm.js';

const MIB = 1024 * 1024;

kernelTests(import.meta.url, { disks: ['128M', '32M'] }, ([disk, otherDisk]) => {
  let receiver: Receiver;
  before(async () => {
    await createGroup('rig', [disk!]);
    receiver = await startReceiver({ disks: [otherDisk!] });
  });
  after(async () => {
    await receiver.stop();
    await removeGroup('rig');
  });

  test('when an origin is written then its snapshot keeps the old bytes and counts exceptions', async () => {
    const origin = await createVolume('rig', 'origin', 32 * MIB, 1);
    const snapshot = await createSnapshot('rig', 'origin', 's', 16 * MIB);
    await assertSameDevices(origin, snapshot);
    assert.equal(await exceptionCount(snapshot, 4096), 0);

    writeAt(origin, 2, [
      { offset: 0, length: 512 },
      { offset: 5 * MIB, length: 3 * 4096 },
    ]);
    assert.equal(await exceptionCount(snapshot, 4096), 4);
    const { differingBlocks, firstOffset } = await compareDevices(origin, snapshot);
    assert.deepEqual({ differingBlocks, firstOffset }, { differingBlocks: 4, firstOffset: 0 });
    await assert.rejects(assertSameDevices(origin, snapshot), /differ in 4 blocks/);

    await fillDevice(origin, 3);
    assert.equal((await snapshotStatus(snapshot)).text, 'Invalid');
    await removeVolumes(snapshot, origin);
  });

  test('when the receiver is asked over ssh then another host answers, with its own disk only', async () => {
    const ssh = (command: string, input = '') =>
      mustRun('ssh', [receiver.name, command], { input });
    assert.equal(await ssh('hostname; cat', 'through'), 'receiver\nthrough');
    assert.equal(await ssh(`ls ${otherDisk} ${disk} 2>/dev/null || true`), otherDisk);
    assert.equal(existsSync(otherDisk!), false, 'the sender still sees the disk');
  });

  test('when the receiver has volumes then they are its own and can be compared from outside', async () => {
    const origin = await createVolume('rig', 'origin', 8 * MIB, 4);
    await receiver.mustRun('vgcreate', ['--quiet', 'far', otherDisk!]);
    await receiver.mustRun('lvcreate', ['--quiet', '-y', '-n', 'target', '-L', '8M', 'far']);
    assert.equal((await mustRun('vgs', ['--noheadings', '-o', 'name'])).trim(), 'rig');
    assert.equal((await receiver.mustRun('vgs', ['--noheadings', '-o', 'name'])).trim(), 'far');

    const target = await receiver.path('/dev/far/target');
    assert.equal(await deviceBytes(target), 8 * MIB);
    await copyDevice(origin, target);
    await assertSameDevices(origin, target);
    await receiver.mustRun('vgremove', ['--quiet', '--force', 'far']);
    await removeVolumes(origin);
  });

  test('when sshd starts a program then it is kept off AVX-512 as the rig requires', async () => {
    const names = ['GLIBC_TUNABLES', 'OPENSSL_ia32cap', 'SIMDUTF_FORCE_IMPLEMENTATION'];
    const remote = await mustRun('ssh', [receiver.name, 'env']);
    for (const name of names) {
      const value = process.env[name];
      if (value !== undefined) assert.ok(remote.includes(`${name}=${value}\n`), name);
    }
  });
});
