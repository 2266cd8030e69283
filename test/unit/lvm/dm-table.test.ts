import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LvmsyncError } from '#lvmsync/errors.js';
import {
  parseOriginTable,
  parsePoolTable,
  parsePoolUsage,
  parseSnapshotTable,
  parseSnapshotUsage,
  parseTargets,
  parseThinTable,
} from '#lvmsync/lvm/dm-table.js';
import { assertUsable, interpretStatus } from '#lvmsync/lvm/snapshot-status.js';
import { createRandom } from '../../support/random.js';
import {
  readFixtureText,
  readRecordedExceptions,
  type ThickFixture,
} from '../../support/thick-fixtures.js';
import { readThinFixture } from '../../support/thin-fixtures.js';

/** One device's lines of a fixture, without the name that dmsetup prints for all devices. */
function linesOf(fixture: ThickFixture, file: string, device: string): string {
  const lines = readFixtureText(fixture, file).split('\n');
  const start = `${device}: `;
  return lines.filter((line) => line.startsWith(start)).map((line) => line.slice(start.length))[0]!;
}

function statusOf(text: string, chunkBytes = 4096) {
  return interpretStatus(parseTargets(text)[0], chunkBytes);
}

function assertUnreadable(work: () => unknown): void {
  assert.throws(work, (error) => error instanceof LvmsyncError && error.code === 'TOOL_FAILED');
}

describe('real output of dmsetup', () => {
  const fixtures: [ThickFixture, number][] = [
    ['thick-4k', 8],
    ['thick-64k', 128],
    ['thick-64k-empty', 128],
    ['thick-8k-snapwrites', 16],
  ];
  for (const [fixture, chunkSectors] of fixtures) {
    test(`when ${fixture} is asked then its devices and its exceptions are known`, () => {
      const [target] = parseTargets(linesOf(fixture, 'dmsetup-table.txt', 'vg-s'));
      assert.equal(target!.lengthSectors, 131072);
      assert.deepEqual(parseSnapshotTable(target!), {
        realDevice: '254:1',
        storeDevice: '254:2',
        persistent: true,
        chunkSectors,
      });
      const [origin] = parseTargets(linesOf(fixture, 'dmsetup-table.txt', 'vg-o'));
      assert.equal(parseOriginTable(origin!), '254:1');

      const status = statusOf(linesOf(fixture, 'dmsetup-status.txt', 'vg-s'), chunkSectors * 512);
      assert.equal(status.state, 'active');
      assert.equal(status.exceptionCount, readRecordedExceptions(fixture).length);
    });
  }

  test('when the snapshot overflowed then it is invalid', () => {
    const status = statusOf(linesOf('thick-4k-overflow', 'dmsetup-status.txt', 'vg-s'));
    assert.equal(status.state, 'invalid');
    assert.equal(status.exceptionCount, 0);
  });
});

describe('tables', () => {
  test('when there are features after the chunk size then they do not matter', () => {
    const [target] = parseTargets(
      '0 100 snapshot 7:1 253:12 PO 16 2 discard_zeroes_cow discard_passdown_origin\n',
    );
    assert.deepEqual(parseSnapshotTable(target!), {
      realDevice: '7:1',
      storeDevice: '253:12',
      persistent: true,
      chunkSectors: 16,
    });
  });

  test('when the store is transient then that is known', () => {
    const [target] = parseTargets('0 100 snapshot 7:1 7:2 N 16');
    assert.equal(parseSnapshotTable(target!).persistent, false);
  });

  test('when a device has several targets then there is one for each line', () => {
    const targets = parseTargets('0 8 linear 8:0 2048\n8 8 striped 2 128 8:0 0 8:16 0\n');
    assert.deepEqual(
      targets.map(({ startSectors, type }) => [startSectors, type]),
      [
        [0, 'linear'],
        [8, 'striped'],
      ],
    );
  });

  test('when a device has no table then there is no target', () => {
    assert.deepEqual(parseTargets('\n'), []);
  });

  test('when the output is odd then that is an error', () => {
    for (const text of [
      'snapshot',
      '0 snapshot 1:2',
      'x 8 linear',
      '0 -8 linear',
      '0 99999999999999999999 linear',
      'Command failed.',
    ]) {
      assertUnreadable(() => parseTargets(text));
    }
    for (const words of [
      '',
      '7:1',
      '7:1 7:2',
      '7:1 7:2 X 8',
      '7:1 sda P 8',
      '7:1 7:2 P',
      '1 2 P 8',
    ]) {
      assertUnreadable(() => parseSnapshotTable(parseTargets(`0 8 snapshot ${words}`)[0]!));
    }
    assertUnreadable(() => parseOriginTable(parseTargets('0 8 snapshot-origin')[0]!));
  });
});

describe('status', () => {
  test('when the snapshot is active then its exceptions are counted', () => {
    assert.deepEqual(statusOf('0 131072 snapshot 9432/139264 48'), {
      state: 'active',
      allocatedSectors: 9432,
      totalSectors: 139264,
      metadataSectors: 48,
      exceptionCount: 1173,
    });
  });

  const states: [string, string, string][] = [
    ['0 8 snapshot Invalid', 'invalid', 'SNAPSHOT_INVALID'],
    ['0 8 snapshot Overflow', 'overflow', 'SNAPSHOT_INVALID'],
    ['0 8 snapshot Unknown', 'unknown', 'SNAPSHOT_INVALID'],
    ['0 8 snapshot Merge failed', 'merge-failed', 'SNAPSHOT_UNSUPPORTED'],
    ['0 8 snapshot-merge 16/8192 16', 'merging', 'SNAPSHOT_UNSUPPORTED'],
    ['0 8 error ', 'merging', 'SNAPSHOT_UNSUPPORTED'],
    ['0 8 linear ', 'unknown', 'SNAPSHOT_INVALID'],
    ['', 'unknown', 'SNAPSHOT_INVALID'],
  ];
  for (const [text, state, code] of states) {
    test(`when the status is "${text}" then the snapshot is refused as ${state}`, () => {
      const status = statusOf(text);
      assert.equal(status.state, state);
      const snapshot = { name: 'vg/s', snapshotPath: '/dev/mapper/vg-s' };
      assert.throws(
        () => assertUsable(snapshot, status),
        (error) => error instanceof LvmsyncError && error.code === code,
      );
    });
  }

  test('when the status is odd then that is an error', () => {
    for (const words of ['', '16', '16/x 3', '16/32', '-1/32 3', '1/2 3 4', 'invalid']) {
      assertUnreadable(() => parseSnapshotUsage(parseTargets(`0 8 snapshot ${words}`)[0]!));
    }
  });
});

test('when 5000 damaged outputs are parsed then each is understood or refused', () => {
  const random = createRandom(5);
  const good = ['0 131072 snapshot 254:1 254:2 P 8', '0 131072 snapshot 9432/139264 48'];
  for (let round = 0; round < 5000; round++) {
    const text = Buffer.from(random.pick(good));
    for (let count = 1 + random.below(4); count > 0; count--) {
      text[random.below(text.length)] = random.pick([32, 10, 0, 47, 58, random.below(256)]);
    }
    try {
      const [target] = parseTargets(text.toString('latin1'));
      if (target?.type === 'snapshot') {
        parseSnapshotTable(target);
        parseSnapshotUsage(target);
      }
    } catch (error) {
      assert(error instanceof LvmsyncError && error.code === 'TOOL_FAILED', `${error}`);
    }
  }
});

describe('thin volumes and pools', () => {
  const lineOf = (file: string, device: string) => {
    const lines = readThinFixture(file).split('\n');
    const start = `${device}: `;
    return lines.find((line) => line.startsWith(start))!.slice(start.length);
  };
  const target = (text: string) => parseTargets(text)[0]!;

  test('when a real pool is asked then its devices, its chunks and its volumes are known', () => {
    assert.deepEqual(parsePoolTable(target(lineOf('dmsetup-table.txt', 'vg-p-tpool'))), {
      metadataDevice: '254:0',
      chunkSectors: 128,
    });
    assert.deepEqual(parseThinTable(target(lineOf('dmsetup-table.txt', 'vg-s1'))), {
      poolDevice: '254:2',
      thinId: 3,
      hasExternalOrigin: false,
    });
    const external = parseThinTable(target('0 8192 thin 254:2 3 254:6'));
    assert.equal(external.hasExternalOrigin, true);
  });

  test('when a pool has a metadata snapshot, or is in trouble, then its status says so', () => {
    const usual = { mode: 'rw', needsCheck: false, transaction: 3, heldRoot: undefined };
    assert.deepEqual(parsePoolUsage(target(lineOf('dmsetup-status.txt', 'vg-p-tpool'))), usual);
    const held = readThinFixture('status-with-metadata-snap.txt');
    assert.deepEqual(parsePoolUsage(target(held)), { ...usual, heldRoot: 74 });
    const rest = 'no_discard_passdown queue_if_no_space';
    const full = `0 8 thin-pool 3 1/2 2/2 - out_of_data_space ${rest} - 256`;
    assert.deepEqual(parsePoolUsage(target(full)), { ...usual, mode: 'out_of_data_space' });
    const broken = `0 8 thin-pool 3 1/2 2/2 - ro ${rest} needs_check 256`;
    assert.deepEqual(parsePoolUsage(target(broken)), { ...usual, mode: 'ro', needsCheck: true });
    const failed = parsePoolUsage(target('0 8 thin-pool Fail'));
    assert.equal(failed.mode, 'Fail');
  });

  test('when the words are odd then that is an error', () => {
    for (const text of ['', '254:2', 'x 3', '254:2 x', '254:2 -3']) {
      assertUnreadable(() => parseThinTable(target(`0 8 thin ${text}`)));
    }
    for (const text of ['', '254:0 254:1', '254:0 254:1 0', 'x 254:1 128']) {
      assertUnreadable(() => parsePoolTable(target(`0 8 thin-pool ${text}`)));
    }
    for (const text of ['3 1/2 2/2', '3 1/2 2/2 x rw', 'x 1/2 2/2 - rw']) {
      assertUnreadable(() => parsePoolUsage(target(`0 8 thin-pool ${text}`)));
    }
  });
});
