import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { mustRun } from '../support/command.js';
import {
  assertSameDevices,
  compareDevices,
  copyDevice,
  deviceBytes,
  writeAt,
} from '../support/devices.js';
import { type Receiver, startReceiver } from '../support/hosts.js';
import { kernelTests } from '../support/kernel.js';
import {
  createGroup,
  createSnapshot,
  createVolume,
  removeGroup,
  removeVolumes,
} from '../support/lvm.js';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { createTargetGroup } from '../support/transfer.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const VOLUME_BYTES = 24 * MIB;
const REFUSED = 3;

kernelTests(import.meta.url, { disks: ['96M', '128M'] }, ([disk, receiverDisk]) => {
  let receiver: Receiver;
  let origin: string;
  before(async () => {
    await createGroup('near', [disk!], 64 * KIB);
    receiver = await startReceiver({ disks: [receiverDisk!] });
    await createTargetGroup(receiver, receiverDisk!);
    const pool = ['--thinpool', 'far/pool', '--poolmetadatasize', '2m', '--poolmetadataspare', 'n'];
    await receiver.mustRun('lvcreate', ['--quiet', '--yes', '--size', '48m', ...pool]);
    origin = await createVolume('near', 'origin', VOLUME_BYTES, 1);
    await mustRun('blkdiscard', ['-z', '-o', `${8 * MIB}`, '-l', `${12 * MIB}`, origin]);
  });
  after(async () => {
    await receiver.stop();
    await removeGroup('near');
  });

  const remove = (path: string) => receiver.mustRun('lvremove', ['--quiet', '--force', path]);

  test('when the target is not there then a thick volume is made, and becomes the source', async () => {
    const path = '/dev/far/thick';
    const planned = await lvmsyncOk(['copy', '-n', '--create', origin, `${receiver.name}:${path}`]);
    assert.match(planned.stderr, new RegExp(`to be made, of ${VOLUME_BYTES} bytes`));
    const elsewhere = `${receiver.name}:/dev/no-such-group/thick`;
    await lvmsyncFails(['copy', '-n', '--create', origin, elsewhere], REFUSED, /no-such-group/);
    await lvmsyncFails(['copy', origin, `${receiver.name}:${path}`], REFUSED, /\/dev\/far\//);
    const { stderr } = await lvmsyncOk([
      'copy',
      '-v',
      '--create',
      origin,
      `${receiver.name}:${path}`,
    ]);
    assert.match(stderr, /made \/dev\/far\/thick/);
    const target = await receiver.path(path);
    assert.equal(await deviceBytes(target), VOLUME_BYTES);
    await assertSameDevices(origin, target);
    const healthy = await lvmsyncOk(['doctor', '--source', origin, `${receiver.name}:${path}`]);
    assert.match(healthy.stdout.toString(), /device-mapper: driver \d.*Nothing would stop a run/s);
    await remove(path);
  });

  test('when it is to be thin then nothing is allocated for the zeroes', async () => {
    const path = '/dev/far/thin';
    const words = ['--create', '--thinpool', 'pool', origin, `${receiver.name}:${path}`];
    await lvmsyncOk(['copy', ...words]);
    await assertSameDevices(origin, await receiver.path(path));
    const { stdout } = await receiver.run('lvs', [
      '--noheadings',
      '-o',
      'data_percent',
      'far/thin',
    ]);
    assert.equal(stdout.toString().trim(), '50.00');
    // What is there already is used.
    await lvmsyncOk(['copy', ...words]);
    await assertSameDevices(origin, await receiver.path(path));
    await remove(path);
  });

  test('when what is there is too small then it is refused, and stays as it is', async () => {
    const path = '/dev/far/small';
    const args = ['--quiet', '-y', '-W', 'n', '-n', 'small', '-L', '8m', 'far'];
    await receiver.mustRun('lvcreate', args);
    await lvmsyncFails(
      ['copy', '--create', origin, `${receiver.name}:${path}`],
      REFUSED,
      /the target has 8388608 bytes/,
    );
    assert.equal(await deviceBytes(await receiver.path(path)), 8 * MIB);
    await remove(path);
  });

  test('when a snapshot is copied then the target is the origin of that moment', async () => {
    const path = '/dev/far/moment';
    const before = await createVolume('near', 'kept', VOLUME_BYTES);
    await copyDevice(origin, before);
    const snapshot = await createSnapshot('near', 'origin', 'moment', 8 * MIB, 64 * KIB);
    writeAt(origin, 2, [{ offset: 3 * MIB, length: 64 * KIB }]);
    await lvmsyncOk(['copy', '--create', snapshot, `${receiver.name}:${path}`]);
    const target = await receiver.path(path);
    await assertSameDevices(before, target);
    assert.ok((await compareDevices(origin, target)).differingBlocks > 0);
    // And the snapshot's list brings it up to date.
    await lvmsyncOk([snapshot, `${receiver.name}:${path}`]);
    await assertSameDevices(origin, target);
    await remove(path);
    await removeVolumes(snapshot, before);
  });
});
