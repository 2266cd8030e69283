import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Ranges } from '#lvmsync/block/batch.js';
import { loadEngine } from '#lvmsync/block/engines.js';
import { mustRun } from '../support/command.js';
import { fillDevice } from '../support/devices.js';
import { kernelTests } from '../support/kernel.js';
import { createGroup, createVolume, removeGroup } from '../support/lvm.js';
import { lvmsyncOk } from '../support/lvmsync.js';
import { applied, type Extent, encodeRecord, encodeTransfer, TYPE } from '../support/proto4.js';
import { createRandom } from '../support/random.js';
import { createThinPool, type ThinPool } from '../support/thin.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const CHUNK_BYTES = 64 * KIB;
const VOLUME_BYTES = 16 * MIB;
const VOLUME_CHUNKS = VOLUME_BYTES / CHUNK_BYTES;

kernelTests(import.meta.url, { disks: ['64M', '64M'] }, ([poolDisk, disk]) => {
  let pool: ThinPool;
  let thin: string;
  let linear: string;
  before(async () => {
    pool = await createThinPool('pool', poolDisk!, 48 * MIB, CHUNK_BYTES);
    thin = await pool.createVolume('thin', VOLUME_BYTES);
    await createGroup('group', [disk!]);
    linear = await createVolume('group', 'linear', VOLUME_BYTES);
  });
  after(async () => {
    await removeGroup('group');
    await pool.remove();
  });

  const volumes = () => [
    ['thin', thin],
    ['linear', linear],
  ];

  for (const choice of ['native', 'js'] as const) {
    const { engine } = loadEngine(choice);

    test(`when the ${choice} engine clears random ranges of a thin and of a linear volume then both equal a plain buffer`, async () => {
      for (const [name, path] of volumes()) {
        await fillDevice(path!, 1);
        const expected = readFileSync(path!);
        const file = await engine.open(path!, { mode: 'write', exclusive: true });
        const random = createRandom(5);
        for (let round = 0; round < 6; round++) {
          for (const way of ['zero', 'discard'] as const) {
            const ranges = randomRanges(random.below, round % 2 ? 512 : 1);
            for (const [offset, length] of ranges) expected.fill(0, offset, offset + length);
            await file[way](rangesOf(ranges));
          }
        }
        await file.flush();
        await file.close();
        await mustRun('blockdev', ['--flushbufs', path!]);
        assert.ok(expected.equals(readFileSync(path!)), name);
      }
    });
  }

  test('when a range of a thin volume is discarded then its whole chunks go back to the pool, and the rest is zeroed', async () => {
    const { engine } = loadEngine('native');
    await fillDevice(thin, 1);
    assert.equal(await pool.usedChunks(), VOLUME_CHUNKS);
    const file = await engine.open(thin, { mode: 'write' });
    // Half a chunk, 99 whole ones, and 1000 bytes.
    const start = CHUNK_BYTES / 2;
    const end = 100 * CHUNK_BYTES + 1000;
    await file.discard(rangesOf([[start, end - start]]));
    assert.equal(await pool.usedChunks(), VOLUME_CHUNKS - 99);
    // What is not allocated is not made so by discarding it again.
    await file.discard(rangesOf([[start, end - start]]));
    assert.equal(await pool.usedChunks(), VOLUME_CHUNKS - 99);
    await file.close();
    await mustRun('blockdev', ['--flushbufs', thin]);
    const content = readFileSync(thin);
    assert.ok(content.subarray(start, end).every((byte) => byte === 0));
    assert.ok(content.subarray(0, start).some((byte) => byte !== 0));
    assert.ok(content.subarray(end, end + 1000).some((byte) => byte !== 0));
  });

  test('when a stream discards and zeroes then a thin volume gives space back, and rolls back to what it was', async () => {
    for (const [name, path] of volumes()) {
      await fillDevice(path!, 2);
      const base = readFileSync(path!);
      const records = [
        encodeRecord(TYPE.discard, [
          [4096, 4 * MIB],
          [8 * MIB, MIB],
        ]),
        encodeRecord(TYPE.data, [[9 * MIB, 4096]], Buffer.alloc(4096, 3)),
        encodeRecord(TYPE.zero, [[10 * MIB + 512, 2 * MIB]]),
      ];
      const before = await pool.usedChunks();
      const stream = join(tmpdir(), `stream-${name}`);
      const undo = join(tmpdir(), `undo-${name}`);
      writeFileSync(stream, encodeTransfer(VOLUME_BYTES, records));
      await lvmsyncOk(['--apply', stream, '--snapback', undo, path!]);
      await mustRun('blockdev', ['--flushbufs', path!]);
      assert.ok(readFileSync(path!).equals(applied(base, records)), name);
      // The whole chunks of 4 MiB, 1 MiB and 2 MiB, of which two do not start at a chunk.
      if (name === 'thin') assert.equal(before - (await pool.usedChunks()), 63 + 16 + 31);
      await lvmsyncOk(['rollback', undo, path!]);
      await mustRun('blockdev', ['--flushbufs', path!]);
      assert.ok(readFileSync(path!).equals(base), name);
    }
  });
});

/** Ranges one behind the other, at multiples of `unit`. */
function randomRanges(below: (limit: number) => number, unit: number): Extent[] {
  const ranges: Extent[] = [];
  for (let offset = 0; offset < VOLUME_BYTES; ) {
    const length = Math.min(unit * (1 + below((512 * KIB) / unit)), VOLUME_BYTES - offset);
    if (below(4) === 0) ranges.push([offset, length]);
    offset += length + unit * below((512 * KIB) / unit);
  }
  return ranges;
}

function rangesOf(list: readonly Extent[]): Ranges {
  return {
    count: list.length,
    offsets: Float64Array.from(list, ([offset]) => offset),
    lengths: Uint32Array.from(list, ([, length]) => length),
  };
}
