import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { mustRun } from '../support/command.js';
import { dataChunk, storeBytesFor, writeStore } from '../support/cow-store.js';
import { assertSameDevices, fillDevice } from '../support/devices.js';
import { createMapped, removeMapped } from '../support/dm.js';
import { kernelTests } from '../support/kernel.js';
import { lvmsyncOk } from '../support/lvmsync.js';

const MIB = 1024 * 1024;
const DEVICE_BYTES = 8 * MIB;
const CHUNK_BYTES = 4096;
/** A request stays so long, in milliseconds, that the next ones are surely under way by then. */
const DELAY_MS = 400;

kernelTests(import.meta.url, { disks: ['16M', '16M'], modules: ['dm-delay'] }, (disks) => {
  let origin: string;
  let target: string;
  const slow = (name: string, disk: string) =>
    createMapped(name, [{ bytes: DEVICE_BYTES, target: `delay ${disk} 0 ${DELAY_MS}` }]);
  before(async () => {
    origin = await slow('origin', disks[0]!);
    target = await slow('target', disks[1]!);
    for (const disk of disks) await fillDevice(disk, 1);
  });
  after(() => removeMapped('origin', 'target'));

  for (const { engine, io, options, count, least, most } of [
    { engine: 'native', io: 'auto', options: [], count: 512, least: 64, most: 128 },
    { engine: 'native', io: 'auto', options: ['--queue-depth', '8'], count: 40, least: 6, most: 8 },
    { engine: 'native', io: 'threads', options: [], count: 96, least: 12, most: 16 },
    {
      engine: 'native',
      io: 'threads',
      options: ['--queue-depth', '3'],
      count: 12,
      least: 3,
      most: 3,
    },
    { engine: 'js', io: 'auto', options: ['--queue-depth', '2'], count: 8, least: 2, most: 2 },
  ]) {
    const how = [engine, `(${io})`, ...options].join(' ');
    test(`when ${count} scattered chunks go through ${how} then up to ${most} requests are in flight, and no more`, async () => {
      const store = join(tmpdir(), 'store');
      const exceptions = Array.from(
        { length: count },
        (_, i) => [3 * i, dataChunk(CHUNK_BYTES, i)] as const,
      );
      const storeBytes = storeBytesFor(CHUNK_BYTES, count + 1) + CHUNK_BYTES;
      writeStore(store, { chunkBytes: CHUNK_BYTES, storeBytes, exceptions });
      const seen = watch();
      await lvmsyncOk(
        [
          ...['--cow-device', store, '--data-source', origin, target],
          ...['--engine', engine, '--no-verify-base', ...options],
        ],
        { env: { ...process.env, LVMSYNC_IO: io } },
      );
      const { reads, writes } = await seen.end();
      assert.ok(reads >= least, `${reads} reads in flight`);
      assert.ok(writes >= least, `${writes} writes in flight`);
      assert.ok(reads <= most && writes <= most, `${reads} reads, ${writes} writes in flight`);
    });
  }

  test('when these runs are over then the devices are the same', () =>
    assertSameDevices(disks[0]!, disks[1]!));
});

/** Looks again and again how many requests are being delayed; `end` tells the most. */
function watch() {
  const most = { reads: 0, writes: 0 };
  let watching = true;
  const done = (async () => {
    while (watching) {
      const { reads } = await delayed('origin');
      const { writes } = await delayed('target');
      most.reads = Math.max(most.reads, reads);
      most.writes = Math.max(most.writes, writes);
    }
  })();
  return {
    async end() {
      watching = false;
      await done;
      return most;
    },
  };
}

/** The status of a delay device is what it holds back: reads, writes, flushes (dm-delay.c). */
async function delayed(name: string): Promise<{ reads: number; writes: number }> {
  const status = await mustRun('dmsetup', ['status', name]);
  const [, reads, writes] = /^0 \d+ delay (\d+) (\d+) \d+$/.exec(status.trim()) ?? [];
  if (reads === undefined) throw new Error(`not a delay device: ${status}`);
  return { reads: Number(reads), writes: Number(writes) };
}
