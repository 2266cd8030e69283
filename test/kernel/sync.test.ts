import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import {
  assertSameDevices,
  compareDevices,
  deviceBytes,
  fillDevice,
  seededWrites,
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
  untilNextSecond,
} from '../support/lvm.js';
import { lvmsyncOk } from '../support/lvmsync.js';
import {
  createTarget,
  createTargetGroup,
  removeTarget,
  syncAndCompare,
} from '../support/transfer.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** 512 and 64 KiB chunks do not divide it: the last chunk is a partial one. */
const ORIGIN_BYTES = 16 * MIB + 64 * KIB + 128 * KIB;

kernelTests(import.meta.url, { disks: ['192M', '96M'] }, ([disk, receiverDisk]) => {
  let receiver: Receiver;
  before(async () => {
    await createGroup('near', [disk!], 64 * KIB);
    receiver = await startReceiver({ disks: [receiverDisk!] });
    await createTargetGroup(receiver, receiverDisk!);
  });
  after(async () => {
    await receiver.stop();
    await removeGroup('near');
  });

  /** An origin with a snapshot, and the receiver's copy of it. */
  async function prepare(context: TestContext, chunkBytes: number, storeBytes = 24 * MIB) {
    const origin = await createVolume('near', 'origin', ORIGIN_BYTES, 1);
    const snapshot = await createSnapshot('near', 'origin', 'changes', storeBytes, chunkBytes);
    const target = await createTarget(receiver, snapshot);
    context.after(async () => {
      await removeTarget(receiver, target);
      await removeVolumes(origin);
    });
    return { origin, snapshot, target };
  }

  for (const chunkKib of [4, 8, 64, 512]) {
    test(`when a snapshot with ${chunkKib} KiB chunks is sent then the target equals the origin`, async (context) => {
      const chunkBytes = chunkKib * KIB;
      const { origin, snapshot, target } = await prepare(context, chunkBytes);
      const last = { offset: ORIGIN_BYTES - 512, length: 512 };
      writeAt(origin, chunkKib, [...seededWrites(chunkKib, 40, 24 * KIB, ORIGIN_BYTES), last]);
      assert.ok((await compareDevices(origin, target.path)).differingBlocks > 0);

      const sent = await syncAndCompare(snapshot, origin, target, ['--no-skip-unchanged']);
      const chunks = await exceptionCount(snapshot, chunkBytes);
      const lastBytes = ORIGIN_BYTES % chunkBytes || chunkBytes;
      assert.equal(sent, (chunks - 1) * chunkBytes + lastBytes, 'the changed chunks and no more');
    });
  }

  test('when nothing has changed then nothing is sent and the target stays equal', async (context) => {
    const { origin, snapshot, target } = await prepare(context, 4 * KIB);
    assert.equal(await syncAndCompare(snapshot, origin, target), 0);
  });

  test('when the list of changes fills several areas of the store then all of them are sent', async (context) => {
    const { origin, snapshot, target } = await prepare(context, 4 * KIB);
    // Every other chunk, from the end: 256 exceptions an area, and nothing to join.
    const writes = Array.from({ length: 1100 }, (_, index) => ({
      offset: (2200 - 2 * index) * 4 * KIB,
      length: 4 * KIB,
    }));
    writeAt(origin, 2, writes);
    assert.equal(await exceptionCount(snapshot, 4 * KIB), 1100);
    assert.equal(await syncAndCompare(snapshot, origin, target), 1100 * 4 * KIB);
  });

  test('when the list of changes ends with a full area then it is read to that end and no further', async (context) => {
    const { origin, snapshot, target } = await prepare(context, 4 * KIB);
    writeAt(origin, 3, [{ offset: 0, length: 512 * 4 * KIB }]);
    assert.equal(await exceptionCount(snapshot, 4 * KIB), 512);
    assert.equal(await syncAndCompare(snapshot, origin, target), 512 * 4 * KIB);
  });

  test('when every chunk has changed then every chunk is sent', async (context) => {
    const { origin, snapshot, target } = await prepare(context, 8 * KIB);
    await fillDevice(origin, 4);
    assert.equal(await syncAndCompare(snapshot, origin, target), ORIGIN_BYTES);
  });

  test('when the snapshot itself was written too then the target still equals the origin', async (context) => {
    const { origin, snapshot, target } = await prepare(context, 8 * KIB);
    writeAt(origin, 5, seededWrites(5, 20, 16 * KIB, ORIGIN_BYTES));
    writeAt(snapshot, 6, seededWrites(6, 20, 16 * KIB, ORIGIN_BYTES));
    await syncAndCompare(snapshot, origin, target);
  });

  for (const chunkKib of [64, 512]) {
    test(`when unchanged blocks of ${chunkKib} KiB chunks are left out then just those that differ are sent`, async (context) => {
      const { origin, snapshot, target } = await prepare(context, chunkKib * KIB);
      const last = { offset: ORIGIN_BYTES - 512, length: 512 };
      writeAt(origin, chunkKib, [...seededWrites(chunkKib, 40, 24 * KIB, ORIGIN_BYTES), last]);
      const { differingBlocks } = await compareDevices(origin, target.path);
      const sent = await syncAndCompare(snapshot, origin, target, ['--skip-unchanged']);
      assert.equal(sent, differingBlocks * 4 * KIB);
    });
  }

  test('when the snapshot was written what the origin got later then it is sent, though store and origin agree', async (context) => {
    const { origin, snapshot, target } = await prepare(context, 64 * KIB);
    const writes = Array.from({ length: 40 }, (_, i) => ({
      offset: i * 384 * KIB + 8 * KIB,
      length: 24 * KIB,
    }));
    writeAt(snapshot, 20, writes);
    assert.equal(await exceptionCount(snapshot, 64 * KIB), 40);
    writeAt(origin, 20, writes);
    assert.equal(await exceptionCount(snapshot, 64 * KIB), 40, 'the store keeps what it has');
    await assertSameDevices(origin, snapshot);
    const { differingBlocks } = await compareDevices(origin, target.path);
    assert.equal(differingBlocks, 40 * 6);
    const options = ['--no-verify-base', '--skip-unchanged'];
    assert.ok((await syncAndCompare(snapshot, origin, target, options)) >= 40 * 24 * KIB);
  });

  test('when an origin has two snapshots then each brings its own copy up to date', async (context) => {
    const { origin, snapshot, target } = await prepare(context, 4 * KIB);
    writeAt(origin, 7, seededWrites(7, 30, 16 * KIB, ORIGIN_BYTES));
    const later = await createSnapshot('near', 'origin', 'later', 16 * MIB);
    const laterTarget = await createTarget(receiver, later, 'later');
    context.after(() => removeTarget(receiver, laterTarget));
    writeAt(origin, 8, seededWrites(8, 30, 16 * KIB, ORIGIN_BYTES));

    const sentLater = await syncAndCompare(later, origin, laterTarget);
    assert.ok((await compareDevices(origin, target.path)).differingBlocks > 0);
    const sent = await syncAndCompare(snapshot, origin, target);
    assert.ok(sentLater < sent, `${sentLater} of the later, ${sent} of the earlier`);
  });

  test('when data comes from a later snapshot then the target equals that one, whatever the origin does', async (context) => {
    const { origin, snapshot, target } = await prepare(context, 4 * KIB);
    writeAt(origin, 9, seededWrites(9, 30, 16 * KIB, ORIGIN_BYTES));
    await untilNextSecond();
    const later = await createSnapshot('near', 'origin', 'later', 16 * MIB);
    writeAt(origin, 10, seededWrites(10, 30, 16 * KIB, ORIGIN_BYTES));
    await syncAndCompare(snapshot, later, target, ['--data-source', later]);
    await syncAndCompare(later, origin, target);
  });

  test('when a snapback is asked for then applying it on the receiver restores the copy', async (context) => {
    const { origin, snapshot, target } = await prepare(context, 4 * KIB);
    writeAt(origin, 11, seededWrites(11, 30, 16 * KIB, ORIGIN_BYTES));
    const snapback = '/run/snapback'; // on the receiver
    await syncAndCompare(snapshot, origin, target, ['--snapback', snapback]);
    await receiver.mustRun('sh', [
      '-c',
      'PATH=$1:$PATH lvmsync --apply "$2" "$3"',
      'sh',
      `${process.cwd()}/bin`,
      snapback,
      target.remotePath,
    ]);
    await assertSameDevices(snapshot, target.path);
  });

  test('when the destination names no host then the same happens on this one', async (context) => {
    const { origin, snapshot, target } = await prepare(context, 4 * KIB);
    writeAt(origin, 12, seededWrites(12, 30, 16 * KIB, ORIGIN_BYTES));
    const local = await createVolume('near', 'local', await deviceBytes(origin), 1);
    context.after(() => removeVolumes(local));
    await lvmsyncOk([snapshot, local]);
    await assertSameDevices(origin, local);
    await syncAndCompare(snapshot, origin, target, ['-e', 'ssh']);
  });
});
