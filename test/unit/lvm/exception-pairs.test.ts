import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { createJsEngine } from '#lvmsync/block/js-engine.js';
import {
  type ExceptionPair,
  PART_EXCEPTIONS,
  type ReadPairsOptions,
  readExceptionPairs,
} from '#lvmsync/lvm/exception-pairs.js';
import {
  entriesPerArea,
  planRandomStore,
  type StorePlan,
  writeStore,
} from '../../support/cow-store.js';
import { createRandom } from '../../support/random.js';
import { temporaryDirectory } from '../../support/temp-dir.js';

const CHUNK_BYTES = 512;
const PER_AREA = entriesPerArea(CHUNK_BYTES);
/** An area of which is two parts and a half. */
const LARGE_CHUNK_BYTES = 16 * 640;

const engine = createJsEngine();
const path = join(temporaryDirectory(), 'store.img');

/** A store that goes on behind its list with what an earlier snapshot has left. */
function makeStore(seed: number, exceptionCount: number, chunkBytes = CHUNK_BYTES): StorePlan {
  const plan = planRandomStore(createRandom(seed), {
    chunkBytes,
    originBytes: 64 << 20,
    exceptionCount,
    order: 'scattered',
  });
  writeStore(path, plan);
  return plan;
}

async function readPairs(
  options: Pick<ReadPairsOptions, 'exceptionCount' | 'sampleAreas'>,
  chunkBytes = CHUNK_BYTES,
) {
  const store = await engine.open(path, { mode: 'read' });
  const areas: ExceptionPair[][] = [];
  try {
    const all = { ...options, engine, chunkBytes };
    for await (const area of readExceptionPairs(store, all)) areas.push(area);
  } finally {
    await store.close();
  }
  return areas;
}

function pairsOfAreas(plan: StorePlan, count: number): ExceptionPair[][] {
  const { chunkBytes, exceptions } = plan;
  const perArea = entriesPerArea(chunkBytes);
  const parts: ExceptionPair[][] = [];
  for (let area = 0; area < count; area += perArea) {
    const end = Math.min(area + perArea, count);
    for (let start = area; start < end; start += PART_EXCEPTIONS) {
      const part = exceptions.slice(start, Math.min(start + PART_EXCEPTIONS, end));
      const pairs = part.map(([old, kept]) => ({
        originOffset: old * chunkBytes,
        storeOffset: kept * chunkBytes,
      }));
      parts.push(pairs.sort((a, b) => a.originOffset - b.originOffset));
    }
  }
  return parts;
}

for (const [what, exceptionCount, sampleAreas] of [
  ['there are none', 0, 16],
  ['they fill no area', 5, 16],
  ['they fill as many areas as the sample has', 16 * PER_AREA, 16],
  ['all are wanted', 5000, undefined],
] as const) {
  test(`when ${what} then all pairs come, an area at a time, ascending`, async () => {
    const plan = makeStore(1, exceptionCount);
    const areas = await readPairs({ exceptionCount, sampleAreas });
    assert.deepEqual(areas, pairsOfAreas(plan, exceptionCount));
  });
}

test('when areas are long then all pairs come, in parts, and of a sample one part of each', async () => {
  const perArea = entriesPerArea(LARGE_CHUNK_BYTES);
  for (const exceptionCount of [1, perArea - 1, perArea + PART_EXCEPTIONS, 2 * perArea + 300]) {
    const plan = makeStore(exceptionCount, exceptionCount, LARGE_CHUNK_BYTES);
    const expected = pairsOfAreas(plan, exceptionCount);
    const parts = await readPairs({ exceptionCount }, LARGE_CHUNK_BYTES);
    assert.deepEqual(parts, expected);
    const seen = new Set<number>();
    for (let round = 0; round < 60; round++) {
      const sample = await readPairs({ exceptionCount, sampleAreas: 16 }, LARGE_CHUNK_BYTES);
      const found = sample.map((part) => expected.findIndex((one) => isSame(one, part)));
      assert.deepEqual(
        found.map((part) => Math.floor(part / 3)),
        [...Array(Math.ceil(exceptionCount / perArea)).keys()],
      );
      for (const part of found) seen.add(part);
    }
    assert.equal(seen.size, expected.length, 'each part comes up');
  }
});

test('when the list has grown since then what was in it comes', async () => {
  const plan = makeStore(2, 3 * PER_AREA);
  for (const sampleAreas of [undefined, 2, 16]) {
    const exceptionCount = 2 * PER_AREA + 7;
    const areas = await readPairs({ exceptionCount, sampleAreas });
    const expected = pairsOfAreas(plan, exceptionCount);
    assert.equal(areas.length, sampleAreas === 2 ? 2 : 3);
    for (const area of areas) assert.ok(expected.some((one) => isSame(one, area)));
  }
});

test('when a sample is wanted then its areas are spread over the list', async () => {
  const plan = makeStore(3, 5000);
  const expected = pairsOfAreas(plan, 5000);
  const areas = await readPairs({ exceptionCount: 5000, sampleAreas: 16 });
  const found = areas.map((area) => expected.findIndex((one) => isSame(one, area)));
  assert.equal(found.length, 16);
  const part = expected.length / 16;
  for (const [index, area] of found.entries()) {
    assert.ok(area >= Math.floor(index * part) && area < (index + 1) * part, found.join());
  }
});

function isSame(one: ExceptionPair[], other: ExceptionPair[]): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
