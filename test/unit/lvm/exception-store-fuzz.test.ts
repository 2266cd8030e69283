import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createJsEngine } from '#lvmsync/block/js-engine.js';
import { LvmsyncError } from '#lvmsync/errors.js';
import { readExceptions, readStoreState } from '#lvmsync/lvm/exception-store.js';
import {
  areaChunk,
  entriesPerArea,
  patch,
  planRandomStore,
  type StorePlan,
  setEntry,
  writeStore,
} from '../../support/cow-store.js';
import { listExtents } from '../../support/extents.js';
import { createRandom, type Random } from '../../support/random.js';
import { temporaryDirectory } from '../../support/temp-dir.js';

const MUTATIONS = 5000;

const engine = createJsEngine();
const path = join(temporaryDirectory(), 'store.img');

/** Damages the metadata of a store in one of the ways that disks, kernels and people do. */
function mutate(random: Random, plan: StorePlan): void {
  const { chunkBytes, storeBytes, exceptions } = plan;
  const areaBytes = chunkBytes;
  const area = random.below(Math.ceil(exceptions.length / entriesPerArea(chunkBytes)) + 1);
  const areaStart = areaChunk(chunkBytes, area) * chunkBytes;
  const anyOffset = Math.min(areaStart + random.below(areaBytes), storeBytes - 64);
  const value = () => random.pick([0, 1, 2, 2 ** 31, 2 ** 32, 2 ** 53 - 1, random.below(3000)]);
  const index = random.below(exceptions.length + 3);
  random.pick([
    () => patch(path, random.bytes(1), random.below(16)),
    () => patch(path, random.bytes(4), 4 * random.below(4)),
    () => patch(path, random.bytes(1), anyOffset),
    () => patch(path, random.bytes(64), anyOffset),
    () => patch(path, Buffer.alloc(64, 0xff), anyOffset),
    () => patch(path, Buffer.alloc(64), anyOffset),
    () => setEntry(path, chunkBytes, index, [value(), value()]),
    () => setEntry(path, chunkBytes, index, random.pick(exceptions)),
    () => truncateSync(path, random.below(storeBytes)),
  ])();
}

test(`when ${MUTATIONS} damaged stores are read then each is refused or stays inside its origin`, async () => {
  const random = createRandom(42);
  let refused = 0;
  for (let round = 0; round < MUTATIONS; round++) {
    const chunkBytes = random.pick([512, 4096, 4096, 8192]);
    const originBytes = 900 * chunkBytes - 512 * random.below(8);
    const plan = planRandomStore(random, {
      chunkBytes,
      originBytes,
      exceptionCount: 1 + random.below(chunkBytes === 512 ? 120 : 700),
      order: random.pick(['allocation', 'shuffled', 'scattered']),
    });
    writeStore(path, plan);
    for (let count = 1 + random.below(3); count > 0; count--) mutate(random, plan);

    const exceptionCount = random.pick([undefined, plan.exceptions.length, 2 ** 40]);
    const store = await engine.open(path, { mode: 'read' });
    try {
      const found = await readExceptions(store, { engine, originBytes, exceptionCount });
      let end = -1;
      for (const [offset, length] of listExtents(found)) {
        assert(length > 0 && offset > end && offset + length <= originBytes, `round ${round}`);
        end = offset + length;
      }
      await readStoreState(store, { engine, exceptionCount: found.exceptionCount });
    } catch (error) {
      assert(error instanceof LvmsyncError, `round ${round}: ${error}`);
      assert.notEqual(error.code, 'INTERNAL', `round ${round}: ${error}`);
      refused++;
    } finally {
      await store.close();
    }
  }
  assert(refused > MUTATIONS / 4, `only ${refused} were refused`);
  assert(refused < MUTATIONS, 'some mutations are harmless');
});
