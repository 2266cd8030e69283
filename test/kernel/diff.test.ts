import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { mustRun } from '../support/command.js';
import { writeAt } from '../support/devices.js';
import { kernelTests } from '../support/kernel.js';
import {
  createGroup,
  createPool,
  createSnapshot,
  createThinSnapshot,
  createThinVolume,
  createVolume,
  exceptionCount,
  removeGroup,
  removeVolumes,
  snapshotStatus,
} from '../support/lvm.js';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { splitStream, TYPE, totalsOf } from '../support/proto4.js';
import { discardAt } from '../support/thin-changes.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const ORIGIN_BYTES = 32 * MIB;
const STATE = '/run/state';

kernelTests(import.meta.url, { disks: ['160M'] }, ([disk]) => {
  before(() => {
    mkdirSync(STATE, { mode: 0o700 });
    return createGroup('near', [disk!], 64 * KIB);
  });
  after(() => removeGroup('near'));

  const json = async (...args: string[]) => {
    const { stdout } = await lvmsyncOk([...args, '--json', '--state-dir', STATE]);
    return JSON.parse(stdout.toString());
  };

  /** Bytes that a transfer of the same sends, as data and as discards. */
  async function sentBytes(...source: string[]) {
    const words = [...source, '--stdout', '--protocol', '4', '--state-dir', STATE];
    const records = splitStream((await lvmsyncOk(words)).stdout);
    const ofType = (...types: number[]) =>
      totalsOf(records.filter((record) => types.includes(record[0]!))).dataBytes;
    return { data: ofType(TYPE.data, TYPE.zero), discarded: ofType(TYPE.discard) };
  }

  test('when a thick snapshot is looked at then its counts are those of the kernel and of a transfer', async () => {
    const origin = await createVolume('near', 'origin', ORIGIN_BYTES, 1);
    const snapshot = await createSnapshot('near', 'origin', 'before', 8 * MIB, 4 * KIB);
    const young = await json('diff', snapshot);
    assert.deepEqual([young.changedChunks, young.overflow.kind], [0, 'unknown']);
    writeAt(origin, 2, [
      { offset: 3 * MIB, length: MIB },
      { offset: 20 * MIB + 5000, length: 9000 },
      { offset: ORIGIN_BYTES - 4096, length: 4096 },
    ]);
    const diff = await json('diff', 'near/before');
    const { usedSectors, totalSectors } = await snapshotStatus(snapshot);
    assert.equal(diff.changedChunks, await exceptionCount(snapshot, 4 * KIB));
    assert.equal(diff.changedChunks, 256 + 3 + 1);
    assert.equal(diff.extentCount, 3);
    assert.deepEqual(diff.fill, { usedBytes: usedSectors * 512, totalBytes: totalSectors * 512 });
    assert.deepEqual(
      [diff.kind, diff.name, diff.volumeBytes],
      ['thick', 'near/before', ORIGIN_BYTES],
    );
    assert.deepEqual(await sentBytes(snapshot), { data: diff.changedBytes, discarded: 0 });
    const lvs = ['--noheadings', '--nosuffix', '-o', 'snap_percent', 'near/before'];
    const { stdout } = await lvmsyncOk(['diff', '--map', '--state-dir', STATE, 'near/origin']);
    const percent = Number((await mustRun('lvs', lvs)).trim());
    const told = Number(/The snapshot is ([\d.]+)% full/.exec(stdout.toString())?.[1]);
    assert.ok(Math.abs(percent - told) <= 0.1, `lvs says ${percent}%, diff ${told}%`);

    // An hour later, nothing else having been written.
    const taken = diff.takenAt;
    await mustRun('date', ['--set', `@${taken + 3600}`]);
    const later = await json('diff', snapshot);
    const grown = later.fill.usedBytes - 2 * 4 * KIB;
    const expected = ((later.fill.totalBytes - later.fill.usedBytes) * 3600) / grown;
    assert.equal(later.overflow.kind, 'expected');
    assert.ok(Math.abs(later.overflow.seconds / expected - 1) < 0.05, later.overflow.seconds);
    await lvmsyncFails(['diff', '--against', origin, snapshot], 2, /two thin snapshots/);
    await removeVolumes('near/origin');
  });

  test('when a snapshot has room for all of its origin then it cannot overflow, and one that has overflowed is refused', async () => {
    const origin = await createVolume('near', 'origin', 4 * MIB, 1);
    const large = await createSnapshot('near', 'origin', 'large', 5 * MIB, 4 * KIB);
    const small = await createSnapshot('near', 'origin', 'small', 128 * KIB, 4 * KIB);
    await mustRun('lvchange', ['--addtag', 'lvmsync.migrate.0123abcd', 'near/small', 'near/large']);
    writeAt(origin, 3, [{ offset: 0, length: 2 * MIB }]);
    assert.equal((await json('diff', large)).overflow.kind, 'never');
    await lvmsyncFails(['diff', small], 7, /invalid|overflow/);

    const { snapshots, snapshotsUnknown } = await json('status');
    assert.equal(snapshotsUnknown, undefined);
    type Own = { name: string; origin: string; kind: string; lost: boolean; inUse: boolean };
    assert.deepEqual(
      snapshots.map(({ name, origin, kind, lost, inUse }: Own) => [
        name,
        origin,
        kind,
        lost,
        inUse,
      ]),
      [
        ['near/large', 'near/origin', 'thick', false, false],
        ['near/small', 'near/origin', 'thick', true, false],
      ],
    );
    const { usedSectors } = await snapshotStatus(large);
    assert.equal(snapshots[0].fill.usedBytes, usedSectors * 512);
    const { stdout } = await lvmsyncOk(['status', '--state-dir', STATE]);
    assert.match(stdout.toString(), /near\/small: .*OVERFLOWED.*which is not on record here/);
    await removeVolumes('near/origin');
  });

  test('when thin snapshots are compared then the counts are what is sent, and of the pool', async () => {
    await createPool('near', 'pool', 64 * MIB, 64 * KIB);
    const origin = await createThinVolume('near', 'pool', 'origin', ORIGIN_BYTES);
    writeAt(origin, 1, [{ offset: 0, length: 8 * MIB }]);
    const first = await createThinSnapshot('near', 'origin', 'first');
    writeAt(origin, 2, [{ offset: MIB, length: 512 * KIB }]);
    await discardAt(origin, { offset: 4 * MIB, length: MIB });
    const second = await createThinSnapshot('near', 'origin', 'second');
    writeAt(origin, 3, [{ offset: 6 * MIB, length: 256 * KIB }]);

    const between = await json('diff', first, '--against', second);
    assert.deepEqual([between.kind, between.against], ['thin', second]);
    assert.deepEqual(
      [between.changedBytes, between.discardedBytes, between.extentCount],
      [MIB + 512 * KIB, MIB, 2],
    );
    assert.equal(between.overflow.kind, 'unknown');
    const sent = await sentBytes(first, '--data-source', second);
    assert.deepEqual(sent, { data: 512 * KIB, discarded: MIB });

    const now = await json('diff', first);
    assert.equal(now.changedBytes - between.changedBytes, 256 * KIB);
    assert.deepEqual(await sentBytes(first), { data: 768 * KIB, discarded: MIB });
    const lvs = ['--noheadings', '-o', 'data_percent', 'near/pool'];
    const percent = Number((await mustRun('lvs', lvs)).trim());
    assert.ok(Math.abs((100 * now.fill.usedBytes) / now.fill.totalBytes - percent) < 0.01);
    assert.equal(now.fill.totalBytes, 64 * MIB);
    await lvmsyncFails(['diff', second, '--against', first], 3, /taken before/);
    await removeVolumes('near/pool');
  });
});
