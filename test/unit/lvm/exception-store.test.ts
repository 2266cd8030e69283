import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { BlockFile } from '#lvmsync/block/engine.js';
import { createJsEngine } from '#lvmsync/block/js-engine.js';
import { type ErrorCode, LvmsyncError } from '#lvmsync/errors.js';
import { type Exceptions, readExceptions, readStoreState } from '#lvmsync/lvm/exception-store.js';
import {
  areaChunk,
  dataChunk,
  entriesPerArea,
  planRandomStore,
  type StorePlan,
  setEntry,
  setHeader,
  storeBytesFor,
  writeStore,
} from '../../support/cow-store.js';
import { expectedExtents, listExtents, sumLengths } from '../../support/extents.js';
import { createRandom } from '../../support/random.js';
import { temporaryDirectory } from '../../support/temp-dir.js';
import {
  ORIGIN_BYTES,
  readRecordedExceptions,
  readStoreImage,
  type ThickFixture,
} from '../../support/thick-fixtures.js';

const engine = createJsEngine();
const path = join(temporaryDirectory(), 'store.img');

type Options = Partial<Parameters<typeof readExceptions>[1]>;

async function withStore<T>(work: (store: BlockFile) => Promise<T>): Promise<T> {
  const store = await engine.open(path, { mode: 'read' });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

function read(originBytes: number, options: Options = {}): Promise<Exceptions> {
  return withStore((store) => readExceptions(store, { engine, originBytes, ...options }));
}

function stateSince(exceptionCount: number) {
  return withStore((store) => readStoreState(store, { engine, exceptionCount }));
}

function assertHolds(found: Exceptions, plan: StorePlan, originBytes: number): void {
  const oldChunks = plan.exceptions.map(([old]) => old);
  const expected = expectedExtents(oldChunks, plan.chunkBytes, originBytes);
  assert.deepEqual(listExtents(found), expected);
  assert.equal(found.extentCount, expected.length);
  assert.equal(found.totalBytes, sumLengths(expected));
  assert.equal(found.chunkBytes, plan.chunkBytes);
  assert.equal(found.exceptionCount, plan.exceptions.length);
}

async function assertRefused(
  work: Promise<unknown>,
  code: ErrorCode,
  words: RegExp,
  offset?: number,
): Promise<void> {
  await assert.rejects(work, (error) => {
    assert(error instanceof LvmsyncError);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
    assert.notEqual(error.hint, undefined);
    assert.equal(error.path, path);
    if (offset !== undefined) assert.equal(error.offset, offset);
    return true;
  });
}

describe('real stores', () => {
  const sound: ThickFixture[] = ['thick-4k', 'thick-64k', 'thick-64k-empty', 'thick-8k-snapwrites'];
  for (const fixture of sound) {
    test(`when ${fixture} is read then its list is the recorded one`, async () => {
      const image = readStoreImage(fixture);
      writeFileSync(path, image);
      const exceptions = readRecordedExceptions(fixture);
      const chunkBytes = image.readUInt32LE(12) * 512;
      const plan = { chunkBytes, storeBytes: image.length, exceptions };
      assertHolds(await read(ORIGIN_BYTES), plan, ORIGIN_BYTES);
      assert.deepEqual(await stateSince(exceptions.length), {
        valid: true,
        exceptionCount: exceptions.length,
      });
    });
  }

  test('when the store overflowed then it is refused as invalid', async () => {
    writeFileSync(path, readStoreImage('thick-4k-overflow'));
    await assertRefused(read(ORIGIN_BYTES), 'SNAPSHOT_INVALID', /marked invalid/, 4);
    assert.equal((await stateSince(0)).valid, false);
  });
});

describe('made stores', () => {
  for (let chunkBytes = 512; chunkBytes <= 512 * 1024; chunkBytes *= 2) {
    test(`when chunks are ${chunkBytes} bytes then every area is read`, async () => {
      const random = createRandom(chunkBytes);
      const perArea = entriesPerArea(chunkBytes);
      const sizes = [0, 1, perArea - 1, perArea, perArea + 1];
      if (chunkBytes <= 65536) sizes.push(3 * perArea + 7);
      for (const exceptionCount of sizes) {
        for (const order of ['allocation', 'scattered'] as const) {
          const originBytes = (exceptionCount * 3 + 2) * chunkBytes + 512;
          const plan = planRandomStore(random, { chunkBytes, originBytes, exceptionCount, order });
          writeStore(path, plan);
          assertHolds(await read(originBytes), plan, originBytes);
          assert.deepEqual(await stateSince(exceptionCount), { valid: true, exceptionCount });
        }
      }
    });
  }

  test('when there are hundreds of areas, in any order, then none is lost', async () => {
    const random = createRandom(7);
    for (const order of ['allocation', 'shuffled', 'scattered'] as const) {
      const originBytes = 400_000 * 4096;
      const plan = planRandomStore(random, {
        chunkBytes: 4096,
        originBytes,
        exceptionCount: 256 * 300 + 17,
        order,
      });
      writeStore(path, plan);
      assertHolds(await read(originBytes), plan, originBytes);
      const exceptionCount = plan.exceptions.length;
      for (const known of [undefined, 0, 70_000, exceptionCount, exceptionCount + 9999]) {
        assertHolds(await read(originBytes, { exceptionCount: known }), plan, originBytes);
      }
    }
  });

  test('when the store ends on a full area then its end is the end of the list', async () => {
    const chunkBytes = 4096;
    const perArea = entriesPerArea(chunkBytes);
    for (const areas of [1, 2, 3, 130]) {
      const exceptionCount = areas * perArea;
      const originBytes = exceptionCount * 2 * chunkBytes;
      const storeBytes = storeBytesFor(chunkBytes, exceptionCount);
      // Nothing after the last data chunk, a part of a chunk, an area without any data chunk.
      for (const more of [0, 512, chunkBytes - 512, chunkBytes]) {
        const plan = planRandomStore(createRandom(areas), {
          chunkBytes,
          originBytes,
          exceptionCount,
          order: 'shuffled',
          storeBytes: storeBytes + more,
        });
        writeStore(path, plan);
        assertHolds(await read(originBytes), plan, originBytes);
        assert.deepEqual(await stateSince(exceptionCount), { valid: true, exceptionCount });
      }
    }
  });

  test('when the last chunk of the origin is partial then it is clipped', async () => {
    const plan: StorePlan = { chunkBytes: 4096, storeBytes: 65536, exceptions: [[9, 2]] };
    writeStore(path, plan);
    assert.deepEqual(listExtents(await read(9 * 4096 + 512)), [[9 * 4096, 512]]);
    assert.deepEqual(listExtents(await read(10 * 4096)), [[9 * 4096, 4096]]);
  });

  test('when chunk numbers pass 2^32 then they stay exact', async () => {
    const chunkBytes = 512;
    const originBytes = 2 ** 50;
    const lastOld = 2 ** 41 - 1;
    const plan: StorePlan = {
      chunkBytes,
      storeBytes: 2 ** 43,
      exceptions: [
        [2 ** 32, dataChunk(chunkBytes, 2 ** 32 + 7)],
        [lastOld, 3],
        [0, dataChunk(chunkBytes, 7)],
      ],
    };
    writeStore(path, plan);
    assertHolds(await read(originBytes), plan, originBytes);
    setEntry(path, chunkBytes, 2, [lastOld, 5]);
    const twice =
      /area 0, entry 2 names chunk 2199023255551 .* second time, as in area 0, entry 1$/;
    await assertRefused(read(originBytes), 'STORE_DAMAGED', twice, 512 + 32);
  });

  test('when the signal is aborted then reading ends with INTERRUPTED', async () => {
    writeStore(path, { chunkBytes: 4096, storeBytes: 65536, exceptions: [[0, 2]] });
    await assertRefused(read(65536, { signal: AbortSignal.abort() }), 'INTERRUPTED', /interrupted/);
  });
});

describe('a store in use', () => {
  const chunkBytes = 4096;
  const perArea = entriesPerArea(chunkBytes);
  const originBytes = 10_000 * chunkBytes;

  /** The first `count` exceptions are on disk, the area after the last full one is cleared. */
  function writeFirst(plan: StorePlan, count: number): void {
    writeStore(path, { ...plan, exceptions: plan.exceptions.slice(0, count) });
  }

  /** The real store, but the kernel works on it between two readings. */
  function whileReading(store: BlockFile, meanwhile: (reading: number) => void): BlockFile {
    let readings = 0;
    return {
      ...store,
      async read(batch) {
        await store.read(batch);
        meanwhile(++readings);
      },
    };
  }

  const plan = planRandomStore(createRandom(3), {
    chunkBytes,
    originBytes,
    exceptionCount: 4 * perArea,
    order: 'allocation',
    storeBytes: storeBytesFor(chunkBytes, 9 * perArea),
  });

  test('when it grows by areas under way then stale areas are not taken for entries', async () => {
    writeFirst(plan, perArea - 1);
    await withStore(async (real) => {
      const store = whileReading(real, (reading) => {
        writeFirst(plan, Math.min(perArea - 1 + reading * 50, plan.exceptions.length));
      });
      const found = await readExceptions(store, { engine, originBytes, exceptionCount: perArea });
      const seen = plan.exceptions.slice(0, found.exceptionCount);
      assertHolds(found, { ...plan, exceptions: seen }, originBytes);
    });
  });

  test('when an area fills up as it is read then the next one is read after it', async () => {
    writeFirst(plan, perArea - 1);
    await withStore(async (real) => {
      const store: BlockFile = {
        ...real,
        async read(batch) {
          if (batch.offsets[0] === areaChunk(chunkBytes, 0) * chunkBytes) {
            // Whatever else was asked for at the same time is read before, and shows garbage.
            await new Promise((resolve) => setTimeout(resolve, 50));
            writeFirst(plan, perArea + 5);
          }
          await real.read(batch);
        },
      };
      const found = await readExceptions(store, { engine, originBytes, exceptionCount: perArea });
      const seen = plan.exceptions.slice(0, perArea + 5);
      assertHolds(found, { ...plan, exceptions: seen }, originBytes);
    });
  });

  test('when an entry was read half-written then it is read again', async () => {
    writeFirst(plan, 10);
    setEntry(path, chunkBytes, 9, [0, plan.exceptions[9]![1]]);
    await withStore(async (real) => {
      // The header is the first reading, the torn area the second.
      const store = whileReading(real, (reading) => {
        if (reading === 2) setEntry(path, chunkBytes, 9, plan.exceptions[9]!);
      });
      const found = await readExceptions(store, { engine, originBytes, exceptionCount: 10 });
      assertHolds(found, { ...plan, exceptions: plan.exceptions.slice(0, 10) }, originBytes);
    });
  });

  test('when an area never settles then that is an error, not a hang', async () => {
    writeFirst(plan, 10);
    await withStore(async (real) => {
      const store = whileReading(real, (reading) => setEntry(path, chunkBytes, 3, [reading, 5]));
      const reading = readExceptions(store, { engine, originBytes, exceptionCount: 10 });
      await assertRefused(reading, 'SNAPSHOT_CHANGED', /area 0 changes with every reading/);
    });
  });

  test('when it grew, shrank or became invalid then its state says so', async () => {
    for (const known of [0, 1, perArea - 1, perArea, perArea + 1, 3 * perArea]) {
      for (const now of [known, known + 1, known + perArea]) {
        writeFirst(plan, now);
        assert.deepEqual(await stateSince(known), { valid: true, exceptionCount: now });
      }
    }
    writeFirst(plan, 3 * perArea - 1);
    assert.equal((await stateSince(3 * perArea)).exceptionCount, 3 * perArea - 1);
    setHeader(path, { valid: 0 });
    assert.equal((await stateSince(3 * perArea)).valid, false);
  });
});

describe('damage', () => {
  const chunkBytes = 4096;
  const perArea = entriesPerArea(chunkBytes);
  const originBytes = 5000 * chunkBytes;
  const plan = planRandomStore(createRandom(11), {
    chunkBytes,
    originBytes,
    exceptionCount: 2 * perArea + 20,
    order: 'allocation',
  });
  const storeChunks = Math.floor(plan.storeBytes / chunkBytes);
  const bad = perArea + 17;
  const badOffset = areaChunk(chunkBytes, 1) * chunkBytes + 17 * 16;
  const [soundOld, soundNew] = plan.exceptions[bad]!;
  const [firstOld, firstNew] = plan.exceptions[5]!;

  const cases: [string, readonly [number, number], RegExp][] = [
    [
      'an entry points just outside the store',
      [soundOld, storeChunks],
      new RegExp(`area 1, entry 17 points at chunk ${storeChunks} of a store of ${storeChunks} `),
    ],
    [
      'an entry points far outside the store',
      [soundOld, 2 ** 52 + 2],
      /area 1, entry 17 points at chunk 4503599627370498 of a store/,
    ],
    [
      'an entry points at the first area',
      [soundOld, 1],
      /area 1, entry 17 points at chunk 1, which holds metadata/,
    ],
    [
      'an entry points at a later area',
      [soundOld, areaChunk(chunkBytes, 2)],
      /area 1, entry 17 points at chunk 515, which holds metadata/,
    ],
    [
      'an entry names a chunk just outside the origin',
      [5000, soundNew],
      /area 1, entry 17 names chunk 5000 of an origin of 5000 chunks/,
    ],
    [
      'an entry names a chunk far outside the origin',
      [2 ** 52, soundNew],
      /area 1, entry 17 names chunk 4503599627370496 of an origin/,
    ],
    [
      'two entries name the same chunk of the origin',
      [firstOld, soundNew],
      new RegExp(`area 1, entry 17 names chunk ${firstOld} .*second time, as in area 0, entry 5$`),
    ],
    [
      'two entries point at the same chunk of the store',
      [soundOld, firstNew],
      new RegExp(
        `area 1, entry 17 points at chunk ${firstNew} a second time, as in area 0, entry 5$`,
      ),
    ],
  ];
  for (const [what, pair, words] of cases) {
    test(`when ${what} then it is refused with area, entry and value`, async () => {
      writeStore(path, plan);
      await read(originBytes);
      setEntry(path, chunkBytes, bad, pair);
      await assertRefused(read(originBytes), 'STORE_DAMAGED', words, badOffset);
    });
  }

  test('when an entry points at the header then it is the end of the list', async () => {
    writeStore(path, plan);
    setEntry(path, chunkBytes, bad, [soundOld, 0]);
    const before = { ...plan, exceptions: plan.exceptions.slice(0, bad) };
    assertHolds(await read(originBytes), before, originBytes);
  });

  const headers: [string, Parameters<typeof setHeader>[1], ErrorCode, RegExp][] = [
    ['the header is blank', { magic: 0 }, 'STORE_NOT_A_STORE', /blank, so no snapshot has ever/],
    ['the magic is wrong', { magic: 0x12345678 }, 'STORE_NOT_A_STORE', /starts with 78563412/],
    ['the store is invalid', { valid: 0 }, 'SNAPSHOT_INVALID', /marked invalid/],
    ['the valid flag is odd', { valid: 2 }, 'SNAPSHOT_INVALID', /marked invalid/],
    ['the version is unknown', { version: 2 }, 'SNAPSHOT_UNSUPPORTED', /version 2/],
    ['the chunk size is 0', { chunkSectors: 0 }, 'STORE_DAMAGED', /chunk size is 0 bytes/],
    ['the chunk size is odd', { chunkSectors: 24 }, 'STORE_DAMAGED', /chunk size is 12288 bytes/],
    ['the chunk size is huge', { chunkSectors: 2 ** 31 }, 'STORE_DAMAGED', /not a power of two/],
    ['a chunk is the whole store', { chunkSectors: 2 ** 15 }, 'STORE_DAMAGED', /it has only/],
  ];
  for (const [what, header, code, words] of headers) {
    test(`when ${what} then it is refused`, async () => {
      writeStore(path, plan);
      setHeader(path, header);
      await assertRefused(read(originBytes), code, words);
    });
  }

  test('when the file is shorter than a header then it is refused', async () => {
    writeStore(path, plan);
    for (const bytes of [0, 16, 511]) {
      truncateSync(path, bytes);
      await assertRefused(read(originBytes), 'STORE_NOT_A_STORE', /only \d+ bytes/);
    }
  });
});
