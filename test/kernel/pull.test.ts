import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import {
  assertSameDevices,
  compareDevices,
  copyDevice,
  deviceBytes,
  fillDevice,
  seededWrites,
  writeAt,
} from '../support/devices.js';
import { createGate } from '../support/gate.js';
import { type Receiver as Host, startReceiver } from '../support/hosts.js';
import { kernelTests } from '../support/kernel.js';
import {
  createGroup,
  createSnapshot,
  createVolume,
  removeGroup,
  removeVolumes,
  untilNextSecond,
} from '../support/lvm.js';
import { lvmsync, lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { repositoryRoot } from '../support/repository.js';
import { changeThin } from '../support/thin-changes.js';
import { deviceDigest } from '../support/transfer.js';

const KIB = 1024;
const MIB = 1024 * KIB;
/** 64 KiB chunks do not divide it. */
const VOLUME_BYTES = 16 * MIB + 32 * KIB;
const STORE_BYTES = 16 * MIB;
const CHUNK_BYTES = 64 * KIB;
const REFUSED = 3;
const INTEGRITY = 7;
/** A receiver's label, and the first byte of its hello: it says that when the source is open. */
const OPENED_BYTES = 18;

kernelTests(import.meta.url, { disks: ['192M', '96M'] }, ([sourceDisk, targetDisk]) => {
  /** Has the sources. The guest itself has the targets. */
  let there: Host;
  before(async () => {
    await createGroup('here', [targetDisk!], 32 * KIB);
    there = await startReceiver({ disks: [sourceDisk!], name: 'there' });
    await there.mustRun('vgcreate', ['--quiet', '-s', '32k', 'far', sourceDisk!]);
  });
  after(async () => {
    await there.stop();
    await removeGroup('here');
  });

  const make = (...args: string[]) => there.mustRun('lvcreate', ['--quiet', '--yes', ...args]);

  interface Scene {
    /** By which this side reads and writes them. */
    origin: string;
    snapshot: string;
    /** Here, and the same as the snapshot. */
    target: string;
  }

  async function makeTarget(snapshot: string): Promise<string> {
    const target = await createVolume('here', 'target', VOLUME_BYTES);
    await copyDevice(snapshot, target);
    return target;
  }

  /** A volume there with a snapshot, and the copy of it here. */
  async function prepare(context: TestContext): Promise<Scene> {
    await make('-W', 'n', '-Z', 'n', '-n', 'origin', '-L', `${VOLUME_BYTES}b`, 'far');
    const origin = await there.path('/dev/far/origin');
    await fillDevice(origin, 1);
    const sizes = ['-L', `${STORE_BYTES}b`, '--chunksize', `${CHUNK_BYTES}b`];
    await make('--snapshot', ...sizes, '-n', 'snap', 'far/origin');
    const snapshot = await there.path('/dev/far/snap');
    const target = await makeTarget(snapshot);
    context.after(async () => {
      await there.mustRun('lvremove', ['--quiet', '--force', 'far/origin']);
      await removeVolumes(target);
    });
    return { origin, snapshot, target };
  }

  const change = (origin: string, seed: number) =>
    writeAt(origin, seed, seededWrites(seed, 40, 24 * KIB, VOLUME_BYTES));

  test('when a thick snapshot there is pulled then the target here equals its origin', async (context) => {
    const { origin, target } = await prepare(context);
    change(origin, 2);
    const { stderr } = await lvmsyncOk(['pull', 'there:/dev/far/snap', target]);
    assert.match(stderr, /^Transferred \d+ bytes in .*; flushed$/m);
    await assertSameDevices(origin, target);
  });

  test('when blocks are skipped, the base is checked whole and the way is a command then it is the same, and a snapback leads back', async (context) => {
    const { origin, snapshot, target } = await prepare(context);
    change(origin, 3);
    const { differingBlocks } = await compareDevices(origin, target);
    const snapback = '/run/pull-snapback';
    const sender = ['--skip-unchanged', '--verify-base', 'full', '--engine', 'js'];
    const receiver = ['--snapback', snapback, '--transactional'];
    const args = ['pull', '-e', 'ssh', ...sender, ...receiver, 'there:far/snap', target];
    const { stderr } = await lvmsyncOk(args);
    assert.match(stderr, new RegExp(`^Transferred ${differingBlocks * 4 * KIB} bytes`, 'm'));
    await assertSameDevices(origin, target);
    await lvmsyncOk(['rollback', snapback, target]);
    await assertSameDevices(snapshot, target);
  });

  test('when a thin snapshot there is pulled then discards come too', async (context) => {
    const pool = ['--poolmetadatasize', '2m', '--poolmetadataspare', 'n', '--chunksize', '64k'];
    await make('-L', '48m', ...pool, '--thinpool', 'far/pool');
    await make('-W', 'n', '-V', `${VOLUME_BYTES}b`, '--thinpool', 'far/pool', '-n', 'thin');
    const origin = await there.path('/dev/far/thin');
    await fillDevice(origin, 4);
    await make('--snapshot', '--setactivationskip', 'n', '-n', 'thinsnap', 'far/thin');
    const target = await makeTarget(await there.path('/dev/far/thinsnap'));
    context.after(async () => {
      await there.mustRun('lvremove', ['--quiet', '--force', 'far/pool']);
      await removeVolumes(target);
    });
    await changeThin(origin, 5, VOLUME_BYTES, CHUNK_BYTES);
    assert.ok((await compareDevices(origin, target)).differingBlocks > 0);
    await lvmsyncOk(['pull', 'there:far/thinsnap', target]);
    await assertSameDevices(origin, target);
  });

  test('when the data comes from a later snapshot there then the target equals that one', async (context) => {
    const { origin, target } = await prepare(context);
    change(origin, 6);
    await untilNextSecond();
    await make('--snapshot', '-L', `${STORE_BYTES}b`, '-n', 'later', 'far/origin');
    const later = await there.path('/dev/far/later');
    change(origin, 7);
    await lvmsyncOk(['pull', '--data-source', '/dev/far/later', 'there:far/snap', target]);
    await assertSameDevices(later, target);
  });

  test('when the target here does not hold the base then it is refused, once, and stays as it is', async (context) => {
    const { origin, target } = await prepare(context);
    change(origin, 8);
    await fillDevice(target, 99);
    const digest = await deviceDigest(target);
    const { stderr } = await lvmsyncFails(
      ['pull', 'there:far/snap', target],
      REFUSED,
      /does not hold what the changes were made to/,
    );
    assert.equal(stderr.match(/FATAL ERROR/g)?.length, 1, stderr);
    assert.equal(await deviceDigest(target), digest);
  });

  test('when the target here is too small or is not there then it is refused, once', async (context) => {
    await prepare(context);
    const small = await createVolume('here', 'small', 8 * MIB);
    context.after(() => removeVolumes(small));
    for (const [path, why] of [
      [small, /too small|the source has/],
      ['/dev/here/missing', /does not exist/],
    ] as const) {
      const { stderr } = await lvmsyncFails(['pull', 'there:far/snap', path], REFUSED, why);
      assert.equal(stderr.match(/FATAL ERROR/g)?.length, 1, stderr);
    }
  });

  test('when the snapshot changes during the run then the run fails, though the target was flushed', async (context) => {
    // For the gate the other host is this one.
    const origin = await createVolume('here', 'origin', 8 * MIB, 1);
    const snapshot = await createSnapshot('here', 'origin', 'snap', 8 * MIB, CHUNK_BYTES);
    const target = await createVolume('here', 'copy', 8 * MIB);
    await copyDevice(snapshot, target);
    context.after(() => removeVolumes(origin, target));
    writeAt(origin, 9, [{ offset: MIB, length: 64 * KIB }]);
    const gate = await createGate(OPENED_BYTES);
    context.after(() => gate.remove());
    const env = { ...process.env, PATH: `${repositoryRoot}/bin:${process.env.PATH}` };
    const run = lvmsync(['pull', '-e', gate.rsh, `host:${snapshot}`, target], { env });
    await gate.whenReached(run, () => writeAt(origin, 10, [{ offset: 3 * MIB, length: 64 * KIB }]));
    const { status, stderr } = await run;
    assert.equal(status, INTEGRITY, stderr);
    assert.match(stderr, /FATAL ERROR: .*host: .*written during the run/);
    assert.equal(stderr.match(/FATAL ERROR/g)?.length, 1, stderr);
    // Run again, it is right.
    await lvmsyncOk(['pull', '-e', gate.rsh, `host:${snapshot}`, target], { env });
    await assertSameDevices(origin, target);
  });

  test('when a whole snapshot there is copied then the target here is made, and verify agrees', async (context) => {
    const { origin, snapshot } = await prepare(context);
    change(origin, 11);
    const made = '/dev/here/made';
    await lvmsyncOk(['copy', '--create', 'there:far/snap', made]);
    context.after(() => removeVolumes(made));
    assert.equal(await deviceBytes(made), VOLUME_BYTES);
    await assertSameDevices(snapshot, made);
    await lvmsyncOk(['verify', 'there:far/snap', made]);
  });

  test('when blocks here differ from the source there then verify finds just those, and repairs them', async (context) => {
    const { snapshot, target } = await prepare(context);
    const offsets = [0, 5 * MIB, 5 * MIB + 4 * KIB, VOLUME_BYTES - 4 * KIB];
    writeAt(
      target,
      12,
      offsets.map((offset) => ({ offset, length: 512 })),
    );
    const ranges = `0 4096\n${5 * MIB} 8192\n${VOLUME_BYTES - 4 * KIB} 4096\n`;
    const digest = await deviceDigest(target);
    const found = await lvmsync(['verify', 'there:far/snap', target]);
    assert.equal(found.status, 1, found.stderr);
    assert.equal(found.stdout.toString(), ranges);
    assert.equal(await deviceDigest(target), digest);
    const repaired = await lvmsyncOk(['verify', '--repair', 'there:far/snap', target]);
    assert.equal(repaired.stdout.toString(), ranges);
    assert.match(repaired.stderr, /^Repaired: 16384 bytes/m);
    await assertSameDevices(snapshot, target);
  });

  test('when only what a snapshot there lists is compared then that is what is read', async (context) => {
    const { origin, target } = await prepare(context);
    writeAt(origin, 13, [{ offset: 2 * MIB, length: 64 * KIB }]);
    // Elsewhere, so not in the list.
    writeAt(target, 14, [{ offset: 9 * MIB, length: 4 * KIB }]);
    const args = ['verify', '--changed', 'far/snap', 'there:far/origin', target];
    const { status, stdout, stderr } = await lvmsync(args);
    assert.equal(status, 1, stderr);
    assert.match(stderr, /^Compared 65536 of \d+ bytes/m);
    assert.equal(stdout.toString(), `${2 * MIB} 65536\n`);
  });
});
