import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createJsEngine } from '#lvmsync/block/js-engine.js';
import { type ErrorCode, LvmsyncError } from '#lvmsync/errors.js';
import { checkDataSource } from '#lvmsync/lvm/data-source.js';
import { readExceptions, readStoreState } from '#lvmsync/lvm/exception-store.js';
import { readSnapshotStatus } from '#lvmsync/lvm/snapshot-status.js';
import { findThickSnapshot, type ThickSnapshot } from '#lvmsync/lvm/thick-snapshot.js';
import { mustRun } from '../support/command.js';
import { writeAt } from '../support/devices.js';
import { expectedExtents, listExtents } from '../support/extents.js';
import { kernelTests } from '../support/kernel.js';
import {
  createGroup,
  createSnapshot,
  createVolume,
  removeGroup,
  removeVolumes,
  untilNextSecond,
} from '../support/lvm.js';

const MIB = 1024 * 1024;
/** All that LVM allows in a name; device-mapper doubles the hyphens. */
const GROUP = 'v-g.1+_';
const ORIGIN = 'o--a.b+_';
const SNAPSHOT = 's-1.x+y_z';

kernelTests(import.meta.url, { disks: ['256M'] }, ([disk]) => {
  const engine = createJsEngine();
  let directory: string;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'lvmsync-test-'));
    await createGroup(GROUP, [disk!]);
  });
  after(async () => {
    await removeGroup(GROUP);
    rmSync(directory, { recursive: true });
  });

  async function withSnapshot<T>(
    work: (originPath: string, snapshotPath: string) => Promise<T>,
    storeBytes = 8 * MIB,
  ): Promise<void> {
    const originPath = await createVolume(GROUP, ORIGIN, 16 * MIB);
    const snapshotPath = await createSnapshot(GROUP, ORIGIN, SNAPSHOT, storeBytes, 8192);
    try {
      await work(originPath, snapshotPath);
    } finally {
      await removeVolumes(originPath);
    }
  }

  async function assertRefused(
    work: Promise<unknown>,
    code: ErrorCode,
    words: RegExp,
    hint?: RegExp,
  ): Promise<void> {
    await assert.rejects(work, (error) => {
      assert(error instanceof LvmsyncError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, words);
      assert.match(error.hint ?? '', hint ?? /./);
      return true;
    });
  }

  function assertIsOurs(found: ThickSnapshot): void {
    assert.equal(found.name, `${GROUP}/${SNAPSHOT}`);
    assert.equal(found.volume?.vgName, GROUP);
    assert.equal(found.volume?.lvName, SNAPSHOT);
    assert.equal(found.snapshotPath, '/dev/mapper/v--g.1+_-s--1.x+y_z');
    assert.equal(found.storePath, '/dev/mapper/v--g.1+_-s--1.x+y_z-cow');
    assert.equal(found.originPath, '/dev/mapper/v--g.1+_-o----a.b+_');
    assert.equal(found.originBytes, 16 * MIB);
    assert.equal(found.chunkBytes, 8192);
    assert.equal(found.storeBytes, 8 * MIB);
  }

  test('when a snapshot is named in any way then it, its store and its origin are found', () =>
    withSnapshot(async (originPath, snapshotPath) => {
      const link = join(directory, 'link');
      symlinkSync(snapshotPath, link);
      const { device } = await findThickSnapshot(snapshotPath);
      const names = [
        snapshotPath,
        `${GROUP}/${SNAPSHOT}`,
        await realpath(snapshotPath),
        `/dev/dm-${device.split(':')[1]}`,
        link,
        // An origin with one snapshot stands for it.
        originPath,
        `${GROUP}/${ORIGIN}`,
      ];
      for (const name of names) assertIsOurs(await findThickSnapshot(name));
      const createdAt = (await findThickSnapshot(snapshotPath)).volume?.createdAt ?? 0;
      assert(Math.abs(createdAt - Date.now() / 1000) < 600);
    }));

  test('when nodes are missing in /dev/mapper then the kernel’s own are taken', () =>
    withSnapshot(async () => {
      const found = await findThickSnapshot(`${GROUP}/${SNAPSHOT}`);
      rmSync(found.storePath);
      const again = await findThickSnapshot(`${GROUP}/${SNAPSHOT}`);
      assert.match(again.storePath, /^\/dev\/dm-\d+$/);
      // A node of that name which is another device is not taken either.
      await mustRun('cp', ['-a', found.originPath, found.storePath]);
      assert.equal((await findThickSnapshot(found.snapshotPath)).storePath, again.storePath);
      rmSync(found.storePath);
      await mustRun('dmsetup', ['mknodes']);
    }));

  test('when the origin is written then status, list and state agree', () =>
    withSnapshot(async (originPath, snapshotPath) => {
      const writes = [3, 4, 5, 900, 2047, 17, 1000, 1001].map((chunk) => ({
        offset: chunk * 8192,
        length: 512,
      }));
      const snapshot = await findThickSnapshot(snapshotPath);
      const store = await engine.open(snapshot.storePath, { mode: 'read' });
      try {
        for (let count = 0; count <= writes.length; count++) {
          writeAt(originPath, 1, writes.slice(0, count));
          const status = await readSnapshotStatus(snapshot);
          assert.equal(status.state, 'active');
          assert.equal(status.exceptionCount, count);
          const { originBytes } = snapshot;
          for (const known of [status.exceptionCount, undefined]) {
            const options = { engine, originBytes, exceptionCount: known };
            const found = await readExceptions(store, options);
            assert.equal(found.exceptionCount, count);
            const chunks = writes.slice(0, count).map(({ offset }) => offset / 8192);
            assert.deepEqual(listExtents(found), expectedExtents(chunks, 8192, originBytes));
          }
          const state = await readStoreState(store, {
            engine,
            exceptionCount: Math.max(0, count - 1),
          });
          assert.deepEqual(state, { valid: true, exceptionCount: count });
        }
      } finally {
        await store.close();
      }
    }));

  test('when an origin has several snapshots then they are listed', () =>
    withSnapshot(async (originPath, snapshotPath) => {
      await createSnapshot(GROUP, ORIGIN, 's2', 4 * MIB);
      const both = /has 2 snapshots: v-g\.1\+_\/s-1\.x\+y_z, v-g\.1\+_\/s2$/;
      await assertRefused(findThickSnapshot(originPath), 'VOLUME_AMBIGUOUS', both);
      assertIsOurs(await findThickSnapshot(snapshotPath));
    }));

  test('when data is to be read elsewhere then only a later snapshot of the origin will do', () =>
    withSnapshot(async (originPath, snapshotPath) => {
      const snapshot = await findThickSnapshot(snapshotPath);
      const unsuitable = (name: string, words: RegExp) =>
        assertRefused(checkDataSource(snapshot, name), 'DATA_SOURCE_UNSUITABLE', words);
      await untilNextSecond();
      const laterPath = await createSnapshot(GROUP, ORIGIN, 'later', 4 * MIB);
      const later = await checkDataSource(snapshot, laterPath);
      assert.equal(later.name, `${GROUP}/later`);
      await assertRefused(
        checkDataSource(later, snapshotPath),
        'DATA_SOURCE_UNSUITABLE',
        /was taken before/,
      );
      await unsuitable(snapshotPath, /itself/);
      await unsuitable(originPath, /is the origin/);

      const otherPath = await createVolume(GROUP, 'other', 4 * MIB);
      const otherSnapshot = await createSnapshot(GROUP, 'other', 'os', 4 * MIB);
      await unsuitable(otherSnapshot, /is a snapshot of \S+other, not of/);
      await unsuitable(otherPath, /is another origin/);
      await removeVolumes(otherPath);
      await assertRefused(checkDataSource(snapshot, disk!), 'NOT_A_SNAPSHOT', /is a disk/);
    }));

  test('when the name is not a snapshot’s then it is said what it is', async () => {
    const path = await createVolume(GROUP, 'plain', 4 * MIB);
    const file = join(directory, 'file');
    writeFileSync(file, 'x');
    const isNot = (name: string, code: ErrorCode, words: RegExp, hint?: RegExp) =>
      assertRefused(findThickSnapshot(name), code, words, hint);
    await isNot(path, 'NOT_A_SNAPSHOT', /not a snapshot but a linear volume/);
    await isNot(disk!, 'NOT_A_SNAPSHOT', /is a disk, not a snapshot/);
    await isNot('/dev/null', 'VOLUME_NOT_FOUND', /\/dev\/null/);
    await isNot(file, 'NOT_A_SNAPSHOT', /not a block device/, /lvmsync copy/);
    await isNot(directory, 'NOT_A_SNAPSHOT', /not a block device/);
    await isNot(`${directory}/nothing`, 'VOLUME_NOT_FOUND', /there is no/);
    for (const name of [`${GROUP}/nothing`, 'nothing/s', `/dev/${GROUP}/nothing`]) {
      await isNot(name, 'VOLUME_NOT_FOUND', /there is no/, /lvs/);
    }
    for (const name of [
      '',
      'nothing',
      GROUP,
      '@tag',
      '-a/b',
      '--all',
      'a/b/c',
      '../x/y',
      'a b/c',
    ]) {
      await isNot(name, 'VOLUME_NOT_FOUND', /there is no/);
    }
    await removeVolumes(path);
  });

  test('when a part of a snapshot is named then the snapshot is asked for', () =>
    withSnapshot(async () => {
      const { storePath, originPath } = await findThickSnapshot(`${GROUP}/${SNAPSHOT}`);
      await assertRefused(findThickSnapshot(storePath), 'NOT_A_SNAPSHOT', /is the store/, /-cow/);
      const real = findThickSnapshot(`${originPath}-real`);
      await assertRefused(real, 'NOT_A_SNAPSHOT', /what an origin is made of/);
    }));

  test('when the snapshot is not active then it is said how to activate it', () =>
    withSnapshot(async (originPath, snapshotPath) => {
      await mustRun('lvchange', ['--quiet', '--activate', 'n', originPath]);
      for (const name of [snapshotPath, `${GROUP}/${SNAPSHOT}`]) {
        const words = /is not active/;
        await assertRefused(findThickSnapshot(name), 'VOLUME_NOT_FOUND', words, /lvchange -ay /);
      }
    }));

  test('when the snapshot filled up then it is refused, and its state tells', () =>
    withSnapshot(async (originPath, snapshotPath) => {
      const snapshot = await findThickSnapshot(snapshotPath);
      const store = await engine.open(snapshot.storePath, { mode: 'read' });
      try {
        writeAt(originPath, 1, [{ offset: 0, length: 12 * MIB }]);
        assert.equal((await readSnapshotStatus(snapshot)).state, 'invalid');
        const { originBytes } = snapshot;
        const reading = readExceptions(store, { engine, originBytes });
        await assertRefused(reading, 'SNAPSHOT_INVALID', /marked invalid/);
        assert.equal((await readStoreState(store, { engine, exceptionCount: 0 })).valid, false);
      } finally {
        await store.close();
      }
      const words = /is invalid: it filled up/;
      await assertRefused(findThickSnapshot(snapshotPath), 'SNAPSHOT_INVALID', words, /larger/);
    }));

  test('when the snapshot is being merged then origin and snapshot are refused', () =>
    withSnapshot(async (originPath, snapshotPath) => {
      await mustRun('lvchange', ['--quiet', '--activate', 'n', originPath]);
      await mustRun('lvconvert', ['--quiet', '--merge', `${GROUP}/${SNAPSHOT}`]);
      await mustRun('lvchange', ['--quiet', '--activate', 'y', '--poll', 'n', originPath]);
      const words = /is being merged/;
      await assertRefused(findThickSnapshot(originPath), 'SNAPSHOT_UNSUPPORTED', words);
      const dmPath = '/dev/mapper/v--g.1+_-s--1.x+y_z';
      await assertRefused(findThickSnapshot(dmPath), 'SNAPSHOT_UNSUPPORTED', words);
      assert.notEqual(snapshotPath, dmPath);
    }));

  test('when the volume is thin then it is no thick snapshot, and how to activate it is said', async () => {
    const pool = `${GROUP}/pool`;
    await mustRun('lvcreate', ['--quiet', '--yes', '--size', '16m', '--thinpool', pool]);
    await mustRun('lvcreate', ['--quiet', '--virtualsize', '8m', '--name', 'thin', '--thin', pool]);
    await mustRun('lvcreate', ['--quiet', '--snapshot', '--name', 'ts', `${GROUP}/thin`]);
    const active = findThickSnapshot(`/dev/${GROUP}/thin`);
    await assertRefused(active, 'NOT_A_SNAPSHOT', /not a snapshot but a thin volume/);
    // LVM does not activate thin snapshots by itself.
    const inactive = findThickSnapshot(`${GROUP}/ts`);
    await assertRefused(inactive, 'VOLUME_NOT_FOUND', /is not active/, /lvchange -ay -K /);
    await removeVolumes(pool);
  });

  test('when a tool is missing then its package is named', () =>
    withSnapshot(async (_, snapshotPath) => {
      for (const [tool, debianPackage] of [
        ['dmsetup', /apt install dmsetup/],
        ['lvs', /apt install lvm2/],
      ] as const) {
        const [path, hidden] = [`/usr/sbin/${tool}`, `/usr/sbin/${tool}.hidden`];
        renameSync(path, hidden); // in the guest only
        try {
          const words = new RegExp(`program ${tool} is not there`);
          const finding = findThickSnapshot(snapshotPath);
          await assertRefused(finding, 'TOOL_MISSING', words, debianPackage);
        } finally {
          renameSync(hidden, path);
        }
      }
    }));

  test('when the user may not ask device-mapper then root is asked for', () =>
    withSnapshot(async (_, snapshotPath) => {
      process.seteuid?.('nobody');
      try {
        const finding = findThickSnapshot(snapshotPath);
        await assertRefused(finding, 'TOOL_FAILED', /dmsetup failed: /, /run lvmsync as root/);
      } finally {
        process.seteuid?.(0);
      }
    }));

  test('when a snapshot was made with dmsetup alone then it is found, or refused if transient', async () => {
    const real = await createVolume(GROUP, 'real', 8 * MIB);
    const cow = await createVolume(GROUP, 'cow', 4 * MIB);
    await mustRun('dd', ['if=/dev/zero', `of=${cow}`, 'bs=1M', 'count=1', 'conv=fsync']);
    const env = { DM_DISABLE_UDEV: '1' };
    const sectors = (8 * MIB) / 512;
    const create = (name: string, table: string) =>
      mustRun('dmsetup', ['create', name, '--table', `0 ${sectors} ${table}`], { env });
    const remove = (name: string) => mustRun('dmsetup', ['remove', name], { env });

    await create('raw snap', `snapshot ${real} ${cow} P 16`);
    const path = '/dev/mapper/raw\\x20snap';
    const orphan = /no snapshot-origin is on device/;
    await assertRefused(findThickSnapshot(path), 'SNAPSHOT_UNSUPPORTED', orphan, /--cow-device/);
    await create('raw-origin', `snapshot-origin ${real}`);
    for (const name of [path, '/dev/mapper/raw-origin']) {
      const found = await findThickSnapshot(name);
      assert.equal(found.name, 'raw\\x20snap');
      assert.equal(found.volume, undefined);
      assert.equal(found.snapshotPath, path);
      assert.equal(found.storePath, '/dev/mapper/v--g.1+_-cow');
      assert.equal(found.originPath, '/dev/mapper/raw-origin');
      assert.equal(found.originBytes, 8 * MIB);
      assert.equal((await readSnapshotStatus(found)).exceptionCount, 0);
    }
    await remove('raw snap');
    await assertRefused(
      findThickSnapshot('/dev/mapper/raw-origin'),
      'NOT_A_SNAPSHOT',
      /an origin without a snapshot/,
    );
    await create('raw-transient', `snapshot ${real} ${cow} N 16`);
    await assertRefused(
      findThickSnapshot('/dev/mapper/raw-transient'),
      'SNAPSHOT_UNSUPPORTED',
      /transient store/,
    );
    await remove('raw-transient');

    // The snapshot is shorter than the origin, as after an origin was resized.
    const shorter = `0 ${sectors - 2048} snapshot ${real} ${cow} P 16`;
    await mustRun('dmsetup', ['create', 'raw-shorter', '--table', shorter], { env });
    await assertRefused(
      findThickSnapshot('/dev/mapper/raw-shorter'),
      'SNAPSHOT_UNSUPPORTED',
      /was resized/,
    );
    await remove('raw-shorter');
    await remove('raw-origin');
    await removeVolumes(real, cow);
  });
});
