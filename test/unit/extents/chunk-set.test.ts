import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createChunkBitmap } from '#lvmsync/extents/chunk-bitmap.js';
import { createChunkList } from '#lvmsync/extents/chunk-list.js';
import { type ChunkSet, createChunkSet } from '#lvmsync/extents/chunk-set.js';
import { expectedExtents, listExtents, sumLengths } from '../../support/extents.js';
import { createRandom, type Random } from '../../support/random.js';

const KINDS: [string, (chunkLimit: number) => ChunkSet][] = [
  ['bitmap', createChunkBitmap],
  ['list', createChunkList],
];

const CHECKED_OFFSETS = createRandom(2);

/** Adds chunk numbers as a store's entries hold them: two words of four. */
function addChunks(set: ChunkSet, chunks: readonly number[]): number {
  const words = Uint32Array.from(
    chunks.flatMap((chunk) => [0xdead, chunk % 2 ** 32, Math.floor(chunk / 2 ** 32), 0xbeef]),
  );
  return set.add({ words, firstWord: 1, strideWords: 4, count: chunks.length });
}

function addChunk(set: ChunkSet, chunk: number): boolean {
  return addChunks(set, [chunk]) === 1;
}

async function assertExtents(
  set: ChunkSet,
  chunks: Iterable<number>,
  bytes: number,
  volume: number,
) {
  const expected = expectedExtents(chunks, bytes, volume);
  const source = await set.toExtents(bytes, volume);
  assert.deepEqual(listExtents(source), expected);
  assert.deepEqual(listExtents(source), expected, 'a second walk gives the same');
  assert.equal(source.extentCount, expected.length);
  assert.equal(source.totalBytes, sumLengths(expected));
  for (const offset of [0, 1, Math.floor(volume / 2), volume, ...expected.flat()]) {
    if (!CHECKED_OFFSETS.chance(50 / expected.length)) continue;
    const rest = listExtents(source, offset);
    assert.deepEqual(rest, expected.slice(expected.length - rest.length), `from ${offset}`);
    const needed = expected.filter(([start, length]) => start + length > offset).length;
    assert.ok(rest.length >= needed, `from ${offset}: ${rest.length} extents of ${needed}`);
  }
}

for (const [kind, create] of KINDS) {
  describe(`a chunk ${kind}`, () => {
    test('when nothing was added then there is no extent', async () => {
      await assertExtents(create(100), [], 4096, 100 * 4096);
    });

    test('when runs end at, before and after word borders then they are joined right', async () => {
      for (const start of [0, 1, 30, 31, 32, 33, 63, 64, 65]) {
        for (const length of [1, 2, 31, 32, 33, 63, 64, 65, 96, 127]) {
          const set = create(200);
          const chunks = Array.from({ length }, (_, index) => start + index);
          for (const chunk of chunks) addChunk(set, chunk);
          await assertExtents(set, chunks, 4096, 200 * 4096);
        }
      }
    });

    test('when every chunk is there then there is one extent', async () => {
      for (const limit of [31, 32, 33, 64, 1000]) {
        const set = create(limit);
        const chunks = [...Array(limit).keys()];
        for (const chunk of chunks) addChunk(set, chunk);
        await assertExtents(set, chunks, 512, limit * 512);
      }
    });

    test('when the last chunk is partial then its extent is clipped', async () => {
      for (const chunks of [[9], [8, 9], [0, 9], [0, 8]]) {
        const set = create(10);
        for (const chunk of chunks) addChunk(set, chunk);
        await assertExtents(set, chunks, 4096, 9 * 4096 + 512);
      }
    });

    test('when the only chunk is the first and the volume is shorter then it is clipped', async () => {
      const set = create(1);
      addChunk(set, 0);
      await assertExtents(set, [0], 65536, 1024);
    });

    test('when seeded random chunks are added in any order then the extents are exact', async () => {
      const random = createRandom(1);
      for (let round = 0; round < 60; round++) {
        const limit = 1 + random.below(200_000);
        const density = random.pick([0.0001, 0.01, 0.5, 0.99]);
        const chunks = [...Array(limit).keys()].filter(() => random.chance(density));
        const set = create(limit);
        assert.equal(addChunks(set, random.shuffle([...chunks])), chunks.length);
        assert.equal(set.findDuplicate(), undefined);
        await assertExtents(set, chunks, 8192, limit * 8192 - random.below(8192));
      }
    });

    test('when a run of any length is added at once then the extents are exact', async () => {
      for (const start of [0, 1, 31, 32, 33]) {
        for (const length of [1, 2, 31, 32, 33, 64, 255, 256, 257, 288, 511, 512, 513, 800]) {
          const chunks = Array.from({ length }, (_, index) => start + index);
          const set = create(start + length);
          assert.equal(addChunks(set, chunks), length);
          await assertExtents(set, chunks, 4096, (start + length) * 4096);
        }
      }
    });

    test('when chunks pass 2^32 then none is taken for another', async () => {
      const chunks = [5, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 5, 2 ** 32 + 2 ** 31];
      const limit = 2 ** 32 + 2 ** 31 + 1;
      const set = create(limit);
      assert.equal(addChunks(set, [...chunks].reverse()), chunks.length);
      assert.equal(set.findDuplicate(), undefined);
      await assertExtents(set, chunks, 4096, limit * 4096);
    });
  });
}

test('when a bitmap gets a chunk twice then it stops there', async () => {
  const set = createChunkBitmap(100);
  assert.equal(addChunks(set, [31, 30, 31, 29]), 2);
  assert.equal(addChunks(set, [30]), 0);
  await assertExtents(set, [30, 31], 4096, 100 * 4096);
});

test('when a chunk of a run was in a bitmap before then it stops there', async () => {
  const run = Array.from({ length: 600 }, (_, index) => 37 + index);
  for (const place of [0, 1, 26, 27, 28, 254, 255, 256, 257, 511, 512, 598, 599]) {
    const set = createChunkBitmap(1000);
    addChunk(set, run[place]!);
    assert.equal(addChunks(set, run), place);
    await assertExtents(set, run.slice(0, place + 1), 4096, 1000 * 4096);
  }
});

test('when runs break in any way then a bitmap takes what comes before a chunk that was there', async () => {
  const random = createRandom(3);
  for (let round = 0; round < 300; round++) {
    const limit = 40 + random.below(20_000);
    const set = createChunkBitmap(limit);
    const seen = new Set<number>();
    for (let column = 0; column < 4; column++) {
      const chunks = brokenRuns(random, limit);
      const known = chunks.findIndex((chunk, index) => {
        return seen.has(chunk) || chunks.indexOf(chunk) < index;
      });
      const expected = known < 0 ? chunks.length : known;
      assert.equal(addChunks(set, chunks), expected, `round ${round}, column ${column}`);
      for (const chunk of chunks.slice(0, expected)) seen.add(chunk);
    }
    const sorted = [...seen].sort((a, b) => a - b);
    await assertExtents(set, sorted, 4096, limit * 4096);
  }
});

/** Runs of ascending chunks; in between, now and then, a step that is none. */
function brokenRuns(random: Random, limit: number): number[] {
  const chunks: number[] = [];
  const breaks = random.pick([0, 0.001, 0.01, 0.3]);
  let chunk = random.below(limit);
  for (let count = 1 + random.below(900); count > 0; count--) {
    chunks.push(chunk);
    const step = random.chance(breaks) ? random.pick([0, -1, 2, random.below(limit)]) : 1;
    chunk = Math.max(0, chunk + step) % limit;
  }
  return chunks;
}

test('when a run reaches 2^32 then it does not go on at 0', async () => {
  const limit = 2 ** 32;
  const set = createChunkBitmap(limit);
  assert.equal(addChunks(set, [limit - 2, limit - 1, 0, 1]), 4);
  assert.equal(addChunks(set, [2, limit - 1]), 1);
  await assertExtents(set, [0, 1, 2, limit - 2, limit - 1], 4096, limit * 4096);
});

test('when a bitmap gets a chunk beyond 2^32 twice then it stops there', () => {
  const set = createChunkBitmap(2 ** 33);
  const run = Array.from({ length: 300 }, (_, index) => 2 ** 32 - 150 + index);
  assert.equal(addChunks(set, run), 300);
  assert.equal(addChunks(set, [149, 2 ** 32 + 150, 2 ** 32 + 149]), 2);
});

test('when a list gets a chunk twice then findDuplicate names it', () => {
  const set = createChunkList();
  for (const chunk of [7, 2 ** 40, 3, 2 ** 40, 1]) addChunk(set, chunk);
  assert.equal(set.findDuplicate(), 2 ** 40);
});

test('when a list is longer than a slab then nothing is lost between slabs', async () => {
  const set = createChunkList();
  const chunks = Array.from({ length: 3 * 2 ** 16 + 17 }, (_, index) => index * 3);
  addChunks(set, [...chunks].reverse());
  await assertExtents(set, chunks, 4096, 2 ** 50);
});

test('when the volume is enormous and the store tiny then a list is taken', () => {
  const enormous = 2 ** 45;
  const set = createChunkSet(enormous, 1000);
  addChunk(set, enormous - 1);
  addChunk(set, enormous - 1);
  assert.equal(set.findDuplicate(), enormous - 1);
});

test('when a bitmap costs no more than 8 bytes an exception then a bitmap is taken', () => {
  const set = createChunkSet(2 ** 33, 2 ** 27);
  addChunk(set, 2 ** 33 - 1);
  assert.equal(addChunk(set, 2 ** 33 - 1), false);
});
