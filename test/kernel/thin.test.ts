import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, type TestContext, test } from 'node:test';
import { mustRun } from '../support/command.js';
import {
  assertSameDevices,
  compareDevices,
  copyDevice,
  fillDevice,
  writeAt,
} from '../support/devices.js';
import { type Receiver, startReceiver } from '../support/hosts.js';
import { kernelTests } from '../support/kernel.js';
import {
  createGroup,
  createPool,
  createThinSnapshot,
  createThinVolume,
  createVolume,
  poolStatus,
  removeGroup,
  removeVolumes,
} from '../support/lvm.js';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { decodeRecord, splitStream, TYPE } from '../support/proto4.js';
import { changeThin, discardAt } from '../support/thin-changes.js';
import {
  createTarget,
  createTargetGroup,
  removeTarget,
  syncAndCompare,
} from '../support/transfer.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const REFUSED = 3;

/** 1 MiB chunks do not divide it: the last chunk is a partial one. */
const ORIGIN_BYTES = 16 * MIB + 64 * KIB;

kernelTests(import.meta.url, { disks: ['256M', '96M'] }, ([disk, receiverDisk]) => {
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

  /** A thin origin with a snapshot, and the receiver's copy of it. */
  async function prepare(context: TestContext, chunkBytes: number) {
    await createPool('near', 'pool', 96 * MIB, chunkBytes);
    const origin = await createThinVolume('near', 'pool', 'origin', ORIGIN_BYTES);
    await fillDevice(origin, 1);
    await discardAt(origin, { offset: 4 * MIB, length: 2 * MIB });
    const snapshot = await createThinSnapshot('near', 'origin', 'before');
    const target = await createTarget(receiver, snapshot);
    context.after(async () => {
      assert.equal((await poolStatus('near', 'pool')).heldRoot, '-', 'a metadata snapshot stayed');
      await removeTarget(receiver, target);
      await removeVolumes('near/pool');
    });
    return { origin, snapshot, target };
  }

  for (const chunkKib of [64, 192, 1024]) {
    const chunkBytes = chunkKib * KIB;
    const bytesOf = (chunks: Set<number>) =>
      [...chunks].reduce(
        (sum, chunk) => sum + Math.min(chunkBytes, ORIGIN_BYTES - chunk * chunkBytes),
        0,
      );

    test(`when a thin snapshot with ${chunkKib} KiB chunks is sent then the target equals the origin`, async (context) => {
      const { origin, snapshot, target } = await prepare(context, chunkBytes);
      const last = { offset: ORIGIN_BYTES - 4 * KIB, length: 4 * KIB };
      const { written, discarded } = await changeThin(origin, chunkKib, ORIGIN_BYTES, chunkBytes);
      writeAt(origin, 2, [last]);
      written.add(Math.floor(last.offset / chunkBytes));
      // What was never mapped in the snapshot cannot be discarded either.
      for (const chunk of discarded) {
        const [start, end] = [chunk * chunkBytes, (chunk + 1) * chunkBytes];
        if (start >= 4 * MIB && end <= 6 * MIB) discarded.delete(chunk);
      }
      assert.ok((await compareDevices(origin, target.path)).differingBlocks > 0);

      const sent = await syncAndCompare(snapshot, origin, target, [
        ...['--verify-base', 'full', '--no-skip-unchanged'],
      ]);
      assert.equal(sent, bytesOf(written) + bytesOf(discarded), 'the changed chunks and no more');
      const again = await syncAndCompare(snapshot, origin, target, ['--no-skip-unchanged']);
      assert.equal(again, sent, 'again');
    });

    test(`when data comes from a later thin snapshot with ${chunkKib} KiB chunks then the target equals that one, whatever the origin does`, async (context) => {
      const { origin, snapshot, target } = await prepare(context, chunkBytes);
      await changeThin(origin, chunkKib + 1, ORIGIN_BYTES, chunkBytes);
      const later = await createThinSnapshot('near', 'origin', 'later');
      await changeThin(origin, chunkKib + 2, ORIGIN_BYTES, chunkBytes);
      await syncAndCompare(snapshot, later, target, ['--data-source', 'near/later']);
      await syncAndCompare(later, origin, target);
    });
  }

  test('when nothing has changed then nothing is sent and the target stays equal', async (context) => {
    const { origin, snapshot, target } = await prepare(context, 64 * KIB);
    assert.equal(await syncAndCompare(snapshot, origin, target), 0);
  });

  test('when every chunk was discarded then the target reads as zeroes', async (context) => {
    const { origin, snapshot, target } = await prepare(context, 64 * KIB);
    await discardAt(origin, { offset: 0, length: ORIGIN_BYTES });
    assert.equal(await syncAndCompare(snapshot, origin, target), ORIGIN_BYTES - 2 * MIB);
  });

  test('when chunks were discarded then they travel as DISCARD records, and in an older protocol as zeroes', async (context) => {
    const { origin, snapshot, target } = await prepare(context, 64 * KIB);
    writeAt(origin, 3, [{ offset: 8 * MIB, length: 64 * KIB }]);
    await discardAt(origin, { offset: MIB, length: 128 * KIB });
    await discardAt(origin, { offset: 12 * MIB, length: 64 * KIB });
    const { stdout } = await lvmsyncOk([snapshot, '--stdout', '--protocol', '4']);
    const records = splitStream(stdout).map(decodeRecord);
    const extentsOf = (type: number) =>
      records.filter((record) => record.type === type).flatMap(({ extents }) => extents);
    assert.deepEqual(extentsOf(TYPE.discard), [
      [MIB, 128 * KIB],
      [12 * MIB, 64 * KIB],
    ]);
    assert.deepEqual(extentsOf(TYPE.data), [[8 * MIB, 64 * KIB]]);

    const local = await createVolume('near', 'local', ORIGIN_BYTES);
    context.after(() => removeVolumes(local));
    await copyDevice(snapshot, local);
    writeFileSync('/run/changes', stdout);
    await lvmsyncOk(['--apply', '/run/changes', local]);
    await assertSameDevices(origin, local);

    await syncAndCompare(snapshot, origin, target, ['--protocol', '3']);
  });

  test('when a thin snapshot is named in another way, or by its origin, then it is found', async (context) => {
    const { origin, target } = await prepare(context, 64 * KIB);
    let seed = 10;
    for (const name of ['near/before', '/dev/mapper/near-before', origin, 'near/origin']) {
      writeAt(origin, seed++, [{ offset: seed * MIB, length: 4 * KIB }]);
      await syncAndCompare(name, origin, target);
    }
    await createThinSnapshot('near', 'origin', 'second');
    const several = /^FATAL ERROR: .*2 snapshots: near\/before, near\/second/m;
    await lvmsyncFails(['near/origin', target.destination], REFUSED, several);
  });

  test('when the origin has a thick snapshot too then its thin one is sent all the same', async (context) => {
    const { origin, snapshot, target } = await prepare(context, 64 * KIB);
    await mustRun('lvcreate', ['--quiet', '-s', '-L', '8m', '-n', 'thick', 'near/origin']);
    writeAt(origin, 20, [{ offset: 9 * MIB, length: 200 * KIB }]);
    assert.equal(await syncAndCompare(snapshot, origin, target), 256 * KIB);
    await removeVolumes('near/thick');
  });

  test('when discards come with a snapback, or all or nothing, then rolling back restores the snapshot', async (context) => {
    const { origin, snapshot } = await prepare(context, 64 * KIB);
    const local = await createVolume('near', 'local', ORIGIN_BYTES);
    context.after(() => removeVolumes(local));
    await copyDevice(snapshot, local);
    await changeThin(origin, 30, ORIGIN_BYTES, 64 * KIB);
    await lvmsyncOk(['--snapback', '/run/undo', '--transactional', snapshot, local]);
    await assertSameDevices(origin, local);
    await lvmsyncOk(['rollback', '/run/undo', local]);
    await assertSameDevices(snapshot, local);
  });

  test('when the target holds another base then it is refused', async (context) => {
    const { origin, snapshot, target } = await prepare(context, 64 * KIB);
    writeAt(origin, 21, [{ offset: 9 * MIB, length: 640 * KIB }]);
    await fillDevice(target.path, 22);
    const message = /^FATAL ERROR: the target does not hold/m;
    await lvmsyncFails([snapshot, target.destination], REFUSED, message);
  });

  test('when the snapshot itself was written too then the target still equals the origin', async (context) => {
    const { origin, snapshot, target } = await prepare(context, 64 * KIB);
    writeAt(origin, 23, [{ offset: 9 * MIB, length: 640 * KIB }]);
    writeAt(snapshot, 24, [{ offset: 2 * MIB, length: 4 * KIB }]);
    await syncAndCompare(snapshot, origin, target);
  });
});
