/** Snapshots that overflow, grow, vanish or are merged while they are sent. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type CommandResult, mustRun } from '../support/command.js';
import {
  assertSameDevices,
  copyDevice,
  fillDevice,
  seededWrites,
  writeAt,
} from '../support/devices.js';
import { createMapped, removeMapped } from '../support/dm.js';
import { createDirectRsh, createGate } from '../support/gate.js';
import { kernelTests } from '../support/kernel.js';
import {
  createGroup,
  createSnapshot,
  createVolume,
  removeGroup,
  removeVolumes,
  snapshotStatus,
} from '../support/lvm.js';
import { lvmsync, lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { lvmsyncPath } from '../support/repository.js';
import { recordStorageRow } from './storage-rows.js';

const MIB = 1024 * 1024;
const VOLUME_BYTES = 8 * MIB;
const TARGET = '/dev/near/target';

const EXIT_INTEGRITY = 7;

kernelTests(import.meta.url, { disks: ['64M'] }, ([disk]) => {
  let directory: string;
  let rsh: string;
  let origin: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lvmsync-storage-'));
    rsh = await createDirectRsh(directory);
    await createGroup('near', [disk!]);
    origin = await createVolume('near', 'origin', VOLUME_BYTES, 1);
    await createVolume('near', 'target', VOLUME_BYTES);
  });
  after(async () => {
    await removeGroup('near');
    await rm(directory, { recursive: true, force: true });
  });

  /** A snapshot, the target like it, and 3 MiB of changes. */
  async function prepare(seed: number, storeBytes: number): Promise<string> {
    const snapshot = await createSnapshot('near', 'origin', 'changes', storeBytes);
    await copyDevice(snapshot, TARGET);
    const long = { offset: MIB, length: 3 * MIB };
    writeAt(origin, seed, [...seededWrites(seed, 10, 16 * 1024, VOLUME_BYTES), long]);
    return snapshot;
  }
  const argumentsOf = (snapshot: string, how: string, protocol: string) => [
    ...['-e', how, '--remote-command', lvmsyncPath, '--protocol', protocol],
    ...[snapshot, `receiver:${TARGET}`],
  ];

  /** Sends, and does something when the receiver has got about a third of it. */
  async function sendMeanwhile(
    snapshot: string,
    protocol: string,
    meanwhile: () => unknown,
  ): Promise<CommandResult> {
    const gate = await createGate(MIB);
    const running = lvmsync(argumentsOf(snapshot, gate.rsh, protocol));
    await gate.whenReached(running, meanwhile);
    const result = await running;
    await gate.remove();
    return result;
  }

  for (const protocol of ['3', '4']) {
    const kind = `remote PROTO[${protocol}]`;

    test(`${kind}: when the snapshot overflows in the middle then the run fails, and so does the next`, async () => {
      const snapshot = await prepare(Number(protocol), 4 * MIB);
      const failed = await sendMeanwhile(snapshot, protocol, () => fillDevice(origin, 5));
      assert.equal((await snapshotStatus(snapshot)).text, 'Invalid');
      fails(failed, EXIT_INTEGRITY, /changes: the snapshot has filled up and lost changes/);
      assert.match(failed.stderr, /take a new and larger one .*copy the whole volume/);
      const again = argumentsOf(snapshot, rsh, protocol);
      await lvmsyncFails(again, EXIT_INTEGRITY, /filled up|lost/);
      await removeVolumes(snapshot);
      // As it says: a new snapshot, and a whole copy.
      const next = await prepare(6, 12 * MIB);
      await lvmsyncOk(argumentsOf(next, rsh, protocol));
      await assertSameDevices(origin, TARGET);
      await removeVolumes(next);
      recordStorageRow(kind, 'the snapshot overflows in the middle', failed, true);
    });

    test(`${kind}: when the origin is written in the middle then the run fails, and the next is right`, async () => {
      const snapshot = await prepare(7, 12 * MIB);
      const failed = await sendMeanwhile(snapshot, protocol, () =>
        writeAt(origin, 8, [{ offset: 6 * MIB, length: 64 * 1024 }]),
      );
      fails(failed, EXIT_INTEGRITY, /changes: \d+ more chunks of the origin were written/);
      assert.match(failed.stderr, /stop what writes to the origin .*run the same command again/);
      await lvmsyncOk(argumentsOf(snapshot, rsh, protocol));
      await assertSameDevices(origin, TARGET);
      await removeVolumes(snapshot);
      recordStorageRow(kind, 'the origin is written in the middle', failed, true);
    });

    test(`${kind}: when a merge is begun in the middle then the run fails`, async () => {
      // LVM begins a merge when nobody has the origin open any more; dmsetup does not wait.
      const base = await createVolume('near', 'base', VOLUME_BYTES, 9);
      const store = await createVolume('near', 'store', 12 * MIB);
      await mustRun('dd', [
        `of=${store}`,
        'if=/dev/zero',
        'bs=64k',
        'count=1',
        'conv=notrunc,fsync',
      ]);
      const plain = await createMapped('plain', [
        { bytes: VOLUME_BYTES, target: `snapshot-origin ${base}` },
      ]);
      const snapshot = await createMapped('plainsnap', [
        { bytes: VOLUME_BYTES, target: `snapshot ${base} ${store} P 8` },
      ]);
      await copyDevice(snapshot, TARGET);
      writeAt(plain, 10, [{ offset: MIB, length: 3 * MIB }]);
      const failed = await sendMeanwhile(snapshot, protocol, () =>
        startMerge('plain', 'plainsnap'),
      );
      fails(failed, EXIT_INTEGRITY, /plainsnap was removed or merged during the run/);
      assert.match(failed.stderr, /copy the whole volume again/);
      await removeMapped('plainsnap', 'plain');
      await removeVolumes(base, store);
      recordStorageRow(kind, 'a merge is begun in the middle', failed, undefined);
    });
  }

  test('remote PROTO[4]: when the snapshot is removed in the middle then the run fails', async () => {
    const snapshot = await prepare(11, 12 * MIB);
    const failed = await sendMeanwhile(snapshot, '4', async () => {
      // As far as lvremove gets: it then finds the store in use.
      await removeMapped('near-changes');
    });
    fails(failed, EXIT_INTEGRITY, /near.changes was removed or merged during the run/);
    assert.match(failed.stderr, /copy the whole volume again/);
    await removeVolumes(snapshot);
    const next = await prepare(12, 12 * MIB);
    await lvmsyncOk(argumentsOf(next, rsh, '4'));
    await assertSameDevices(origin, TARGET);
    recordStorageRow('remote PROTO[4]', 'the snapshot is removed in the middle', failed, true);
    await removeVolumes(next);
  });
});

/** Failed with that status, a message, and no word that could be taken for success. */
function fails(result: CommandResult, status: number, message: RegExp): void {
  assert.equal(result.status, status, result.stderr);
  assert.match(result.stderr, new RegExp(`^FATAL ERROR: .*${message.source}`, 'm'));
  assert.doesNotMatch(result.stderr, /^Transferred /m);
  assert.doesNotMatch(result.stderr, /^\s+at /m, 'a stack trace');
}

/** As LVM does it. The merging target takes over from the snapshot, which must be suspended. */
async function startMerge(origin: string, snapshot: string): Promise<void> {
  const table = await mustRun('dmsetup', ['table', snapshot]);
  const match = /^(0 \d+) snapshot (\S+ \S+) P\S* (\d+)$/.exec(table.trim());
  if (match === null) throw new Error(table);
  const [, extent, devices, chunk] = match;
  const merge = `${extent} snapshot-merge ${devices} P ${chunk}`;
  await mustRun('dmsetup', ['load', origin, '--table', merge]);
  await mustRun('dmsetup', ['load', snapshot, '--table', `${extent} error`]);
  await mustRun('dmsetup', ['suspend', snapshot]);
  await mustRun('dmsetup', ['suspend', origin]);
  await mustRun('dmsetup', ['resume', origin]);
  await mustRun('dmsetup', ['resume', snapshot]);
}
