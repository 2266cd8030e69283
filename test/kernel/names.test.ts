import assert from 'node:assert/strict';
import { realpathSync } from 'node:fs';
import { before, test } from 'node:test';
import { mustRun } from '../support/command.js';
import { compareDevices, seededWrites, writeAt } from '../support/devices.js';
import { kernelTests } from '../support/kernel.js';
import { createGroup, createSnapshot, createVolume, removeVolumes } from '../support/lvm.js';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';

const MIB = 1024 * 1024;
const GROUP = 'v-g.0+a_b';
const ORIGIN = 'o-1.x+y_z';
const SNAPSHOT = 's--2.x+y_z-';

/** Device-mapper doubles the hyphens of both names and puts one between them. */
const mapperPath = (name: string) =>
  `/dev/mapper/${GROUP.replaceAll('-', '--')}-${name.replaceAll('-', '--')}`;

kernelTests(import.meta.url, { disks: ['64M'] }, ([disk]) => {
  let origin: string;
  let snapshot: string;
  let target: string;
  before(async () => {
    await createGroup(GROUP, [disk!]);
    origin = await createVolume(GROUP, ORIGIN, 8 * MIB, 1);
    target = await createVolume(GROUP, 'target', 8 * MIB, 1);
    snapshot = await createSnapshot(GROUP, ORIGIN, SNAPSHOT, 8 * MIB);
  });

  let seed = 1;
  /** Writes something new, syncs by that name, and compares. */
  async function syncAs(name: string): Promise<void> {
    writeAt(origin, ++seed, seededWrites(seed, 5, 8192, 8 * MIB));
    assert.ok((await compareDevices(origin, target)).differingBlocks > 0);
    await lvmsyncOk([name, target]);
    assert.equal((await compareDevices(origin, target)).differingBlocks, 0, name);
  }

  test('when a snapshot is named by any of its names then it is found, hyphens and all', async () => {
    await syncAs(`/dev/${GROUP}/${SNAPSHOT}`);
    await syncAs(`${GROUP}/${SNAPSHOT}`);
    await syncAs(mapperPath(SNAPSHOT));
    await syncAs(realpathSync(mapperPath(SNAPSHOT)));
    await syncAs(await dmNode(snapshot));
  });

  test('when an origin with one snapshot is named then that snapshot is meant', async () => {
    await syncAs(`${GROUP}/${ORIGIN}`);
    await syncAs(mapperPath(ORIGIN));
    await syncAs(await dmNode(origin));
  });

  test('when an origin has several snapshots then they are listed and nothing is written', async () => {
    const other = await createSnapshot(GROUP, ORIGIN, 'other', 4 * MIB);
    writeAt(origin, 100, [{ offset: 0, length: 4096 }]);
    const { stderr } = await lvmsyncFails([origin, target], 3, /^FATAL ERROR: .*snapshots/m);
    assert.ok(stderr.includes(SNAPSHOT) && stderr.includes('other'), stderr);
    assert.equal((await compareDevices(origin, target)).differingBlocks, 1);
    await removeVolumes(other);
  });

  test('when no volume has that name then it is said so', async () => {
    for (const name of [
      `${GROUP}/nothing`,
      '/dev/nothing',
      'nothing/at-all',
      '/dev/mapper/no-no',
    ]) {
      await lvmsyncFails([name, target], 3, /^FATAL ERROR: .*not?/m);
    }
  });
});

/** The kernel's own name for a device: /dev/dm-7. */
async function dmNode(path: string): Promise<string> {
  const minor = await mustRun('dmsetup', ['info', '-c', '--noheadings', '-o', 'minor', path]);
  return `/dev/dm-${minor.trim()}`;
}
