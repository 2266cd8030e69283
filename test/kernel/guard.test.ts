import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { assertTargetUsable, inspectTarget, type TargetNeeds } from '#lvmsync/block/target.js';
import { type ErrorCode, LvmsyncError } from '#lvmsync/errors.js';
import { kernelTests } from '../support/kernel.js';
import { createGroup, createSnapshot, createVolume } from '../support/lvm.js';

const MIB = 1024 * 1024;
function run(program: string, ...argv: string[]): string {
  return execFileSync(program, argv, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();
}

/** The codes and messages of everything that speaks against the target, `!` when final. */
async function findings(path: string, needs: TargetNeeds = {}): Promise<string[]> {
  const target = await inspectTarget(path, needs);
  return target.findings.map(({ error, overridable }) => {
    assert.ok(error.hint && error.path === path);
    return `${error.code}${overridable ? '' : '!'} ${error.message}`;
  });
}

async function isRefused(path: string, force: boolean, code: ErrorCode): Promise<void> {
  const target = await inspectTarget(path);
  assert.throws(
    () => assertTargetUsable(target, { force }),
    (error) => error instanceof LvmsyncError && error.code === code,
  );
}

function loopOn(file: string, ...options: string[]): string {
  return run('losetup', '--find', '--show', ...options, file);
}

kernelTests(import.meta.url, { disks: ['200M', '50M', '50M', '50M'] }, (disks) => {
  const [lvmDisk, disk, partitioned, swapDisk] = disks as [string, string, string, string];
  const directory = mkdtempSync(join(tmpdir(), 'lvmsync-guard-'));
  after(() => rmSync(directory, { recursive: true, force: true }));

  function mountPoint(name: string): string {
    const path = join(directory, name);
    mkdirSync(path);
    return path;
  }

  before(async () => {
    await createGroup('vg', [lvmDisk]);
    await createVolume('vg', 'origin', 16 * MIB);
    await createVolume('vg', 'plain', 16 * MIB);
    await createSnapshot('vg', 'origin', 'snap', 8 * MIB);
    run('lvcreate', '-q', '-Wn', '-Zn', '-L', '16m', '-T', 'vg/pool');
    run('lvcreate', '-q', '-V', '16m', '-T', 'vg/pool', '-n', 'thin');
  });

  test('when a logical volume is free then it is usable under each of its names', async () => {
    const node = run('dmsetup', 'info', '-c', '--noheadings', '-o', 'major,minor', 'vg-plain');
    const [major, minor] = node.split(':');
    const own = join(directory, 'own-node');
    run('mknod', own, 'b', `${major}`, `${minor}`);
    for (const path of ['/dev/vg/plain', '/dev/mapper/vg-plain', own]) {
      const target = await inspectTarget(path, { needBytes: 16 * MIB });
      assert.deepEqual(target, { path, kind: 'block-device', sizeBytes: 16 * MIB, findings: [] });
    }
  });

  test('when an origin has a snapshot, or a volume is thin, then it is usable', async () => {
    assert.deepEqual(await findings('/dev/vg/origin'), []);
    assert.deepEqual(await findings('/dev/vg/thin'), []);
  });

  test('when the target is the snapshot, its origin or its store then it is the source', async () => {
    const snapshot = join(directory, 'another-name');
    symlinkSync('/dev/mapper/vg-snap', snapshot);
    const sourcePaths = ['/dev/vg/snap', '/dev/mapper/vg-origin', '/dev/mapper/vg-snap-cow'];
    assert.deepEqual(await findings(snapshot, { sourcePaths }), [
      `TARGET_UNSUITABLE! ${snapshot} is the source, /dev/vg/snap`,
    ]);
    assert.deepEqual(await findings('/dev/vg/origin', { sourcePaths }), [
      'TARGET_UNSUITABLE! /dev/vg/origin is the source, /dev/mapper/vg-origin',
    ]);
    const [store] = await findings('/dev/mapper/vg-snap-cow', { sourcePaths });
    assert.match(store ?? '', /^TARGET_UNSUITABLE! .*vg-snap-cow carries the source, /);
    const [beneath] = await findings(lvmDisk, { sourcePaths });
    assert.equal(beneath, `TARGET_UNSUITABLE! ${lvmDisk} carries the source, /dev/vg/snap`);
    assert.deepEqual(await findings('/dev/vg/plain', { sourcePaths }), []);
  });

  test('when the target is an internal LVM device then its layer is told', async () => {
    const layers = {
      'snap-cow': 'cow',
      'origin-real': 'real',
      pool: 'pool',
      'pool-tpool': 'tpool',
    };
    for (const [name, layer] of Object.entries({
      ...layers,
      pool_tdata: 'tdata',
      pool_tmeta: 'tmeta',
    })) {
      const path = `/dev/mapper/vg-${name}`;
      const all = await findings(path);
      const told = `${path} is an internal part of a logical volume (its ${layer} layer)`;
      assert.ok(all.includes(`TARGET_UNSUITABLE ${told}`), all.join('\n'));
    }
  });

  test('when a physical volume has active logical volumes then they hold it', async () => {
    const [held, ...more] = await findings(lvmDisk);
    assert.deepEqual(more, []);
    assert.match(held ?? '', /^TARGET_IN_USE \/dev\/ubda is held by .*\/dev\/mapper\/vg-plain/);
    // Two floors up: the volume stands on the -real device, which stands on the disk.
    assert.match(held ?? '', /\/dev\/mapper\/vg-origin(,|$)/);
    await isRefused(lvmDisk, false, 'TARGET_IN_USE');
    assert.equal(assertTargetUsable(await inspectTarget(lvmDisk), { force: true }).length, 1);
  });

  test('when the target is mounted then the mount point is told, with its spaces', async () => {
    run('mkfs.ext4', '-q', disk);
    const place = mountPoint('a mount point');
    run('mount', disk, place);
    try {
      assert.deepEqual(await findings(disk), [`TARGET_IN_USE ${disk} is mounted on ${place}`]);
      await isRefused(disk, false, 'TARGET_IN_USE');
      assert.equal(assertTargetUsable(await inspectTarget(disk), { force: true }).length, 1);
    } finally {
      run('umount', place);
    }
    assert.deepEqual(await findings(disk), []);
  });

  test('when a volume above the target is mounted then both are told', async () => {
    run('mkfs.ext4', '-q', '/dev/vg/plain');
    const place = mountPoint('above');
    run('mount', '/dev/vg/plain', place);
    try {
      const [mounted] = await findings(lvmDisk);
      assert.equal(
        mounted,
        `TARGET_IN_USE ${lvmDisk} is mounted on ${place} (as /dev/mapper/vg-plain)`,
      );
    } finally {
      run('umount', place);
    }
  });

  test('when the target is mounted in another mount namespace only then its process is told', async () => {
    run('mkfs.ext4', '-q', '-F', disk);
    const place = mountPoint('hidden');
    const script = `mount ${disk} "$1" && echo mounted && exec sleep 600`;
    const argv = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', place];
    const process = spawn('unshare', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await new Promise((resolve) => process.stdout.once('data', resolve));
      assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(place));
      assert.deepEqual(await findings(disk), [
        `TARGET_IN_USE ${disk} is mounted on ${place} in the mount namespace of process ${process.pid}`,
      ]);
    } finally {
      const ended = new Promise((resolve) => process.once('exit', resolve));
      process.kill();
      await ended;
    }
  });

  test('when a partition is mounted then neither it nor its disk is free, but its sibling is', async () => {
    writeFileSync(
      partitioned,
      partitionTable([
        [2048, 16384],
        [18432, 16384],
      ]),
      { flag: 'r+' },
    );
    run('blockdev', '--rereadpt', partitioned);
    const nodes = [1, 2].map((number) => {
      const [major, minor] = readFileSync(`/sys/block/ubdc/ubdc${number}/dev`, 'utf8').split(':');
      const path = join(directory, `partition${number}`);
      run('mknod', path, 'b', `${major}`, `${minor}`.trim());
      return path;
    });
    const [first, second] = nodes as [string, string];
    run('mkfs.ext4', '-q', first);
    const place = mountPoint('partition');
    run('mount', first, place);
    try {
      assert.deepEqual(await findings(first), [`TARGET_IN_USE ${first} is mounted on ${place}`]);
      assert.deepEqual(await findings(partitioned), [
        `TARGET_IN_USE ${partitioned} is mounted on ${place} (as ${partitioned}1)`,
      ]);
      assert.deepEqual(await findings(second), []);
      assert.deepEqual(await findings(second, { sourcePaths: [partitioned] }), [
        `TARGET_UNSUITABLE! ${second} shares its bytes with the source, ${partitioned}`,
      ]);
    } finally {
      run('umount', place);
    }
  });

  test('when the target is swapped to then not even force helps', async () => {
    run('mkswap', swapDisk);
    run('swapon', swapDisk);
    try {
      assert.deepEqual(await findings(swapDisk), [
        `TARGET_IN_USE! ${swapDisk} is in use as swap (${swapDisk})`,
      ]);
      await isRefused(swapDisk, true, 'TARGET_IN_USE');
    } finally {
      run('swapoff', swapDisk);
    }
  });

  test('when the target is a swap file then not even force helps', async () => {
    run('mkfs.ext4', '-q', '-F', disk);
    const place = mountPoint('swap');
    run('mount', disk, place);
    const path = join(place, 'swap file');
    writeFileSync(path, Buffer.alloc(4 * MIB, 1), { mode: 0o600 });
    run('mkswap', path);
    run('swapon', path);
    try {
      assert.deepEqual(await findings(path), [
        `TARGET_IN_USE! ${path} is in use as swap (${path})`,
      ]);
    } finally {
      run('swapoff', path);
      run('umount', place);
    }
  });

  test('when the target is read-only then not even force helps', async () => {
    run('blockdev', '--setro', swapDisk);
    try {
      assert.deepEqual(await findings(swapDisk), [`TARGET_UNSUITABLE! ${swapDisk} is read-only`]);
      await isRefused(swapDisk, true, 'TARGET_UNSUITABLE');
    } finally {
      run('blockdev', '--setrw', swapDisk);
    }
  });

  test('when a file lies on a read-only file system then it cannot be written', async () => {
    run('mkfs.ext4', '-q', '-F', disk);
    const place = mountPoint('read-only');
    run('mount', disk, place);
    const path = join(place, 'file');
    writeFileSync(path, 'x');
    try {
      run('mount', '-o', 'remount,ro', place);
      assert.deepEqual(await findings(path), [
        `TARGET_UNSUITABLE! ${path} cannot be read and written: read-only file system (EROFS)`,
      ]);
    } finally {
      run('umount', place);
    }
  });

  test('when the target is smaller than needed, to the byte, then it is too small', async () => {
    assert.deepEqual(await findings('/dev/vg/plain', { needBytes: 16 * MIB + 1 }), [
      `TARGET_TOO_SMALL! /dev/vg/plain is too small: it holds ${16 * MIB} bytes, ${16 * MIB + 1} are needed`,
    ]);
  });

  test('when a loop device stands on a file then the file is held, and both are one source', async () => {
    const path = join(directory, 'backing file');
    writeFileSync(path, Buffer.alloc(4 * MIB));
    const loop = loopOn(path);
    try {
      assert.deepEqual(await findings(path), [`TARGET_IN_USE ${path} is held by ${loop}`]);
      assert.deepEqual(await findings(loop), []);
      assert.deepEqual(await findings(loop, { sourcePaths: [path] }), [
        `TARGET_UNSUITABLE! ${loop} is the source, ${path}`,
      ]);
      const [source] = await findings(path, { sourcePaths: [loop] });
      assert.equal(source, `TARGET_UNSUITABLE! ${path} is the source, ${loop}`);
      run('mkfs.ext4', '-q', loop);
      const place = mountPoint('loop');
      run('mount', loop, place);
      try {
        assert.deepEqual(await findings(path), [
          `TARGET_IN_USE ${path} is mounted on ${place} (as ${loop})`,
          `TARGET_IN_USE ${path} is held by ${loop}`,
        ]);
      } finally {
        run('umount', place);
      }
    } finally {
      run('losetup', '--detach', loop);
    }
    assert.deepEqual(await findings(path), []);
    await assert.rejects(inspectTarget(loop), /has no device behind it/);
  });

  test('when a node has no device then it is told apart from a missing path', async () => {
    const path = join(directory, 'stale');
    run('mknod', path, 'b', '254', '200');
    await assert.rejects(inspectTarget(path), /stale has no device behind it \(254:200\)$/);
  });

  test('when a device is a character device then it is refused', async () => {
    await assert.rejects(inspectTarget('/dev/mapper/control'), /is a character device$/);
  });
});

/** An MBR with primary Linux partitions of [first sector, sectors] each. */
function partitionTable(partitions: readonly (readonly [number, number])[]): Buffer {
  const sector = Buffer.alloc(512);
  for (const [index, [first, count]] of partitions.entries()) {
    sector[446 + 16 * index + 4] = 0x83;
    sector.writeUInt32LE(first, 446 + 16 * index + 8);
    sector.writeUInt32LE(count, 446 + 16 * index + 12);
  }
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}
