import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CHUNKS_AT_ONCE, createChunkBitmap } from '#lvmsync/extents/chunk-bitmap.js';
import { createChunkList } from '#lvmsync/extents/chunk-list.js';
import { type ChunkSet, createChunkSet } from '#lvmsync/extents/chunk-set.js';
import { expectedExtents, listExtents, sumLengths } from '../../support/extents.js';
import { createRandom } from '../../support/random.js';

const KINDS: [string, (chunkLimit: number) => ChunkSet][] = [
  ['bitmap', createChunkBitmap],
  ['list', createChunkList],
];

const CHECKED_OFFSETS = createRandom(2);

type AddChunks = (set: ChunkSet, chunks: readonly number[]) => number;

/** @returns how many were added */
const addSome: AddChunks = (set, chunks) =>
  addInParts(chunks, (part) => set.addSome(Float64Array.from(part), part.length));

/** The same for chunks below 2^32. */
const addSomeNarrow: AddChunks = (set, chunks) =>
  addInParts(chunks, (part) => set.addSomeNarrow(Uint32Array.from(part), part.length));

function addInParts(chunks: readonly number[], add: (part: readonly number[]) => number): number {
  let added = 0;
  for (let start = 0; start < chunks.length && added === start; start += CHUNKS_AT_ONCE) {
    added += add(chunks.slice(start, start + CHUNKS_AT_ONCE));
  }
  return added;
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
          for (const chunk of chunks) set.add(chunk);
          await assertExtents(set, chunks, 4096, 200 * 4096);
        }
      }
    });

    test('when every chunk is there then there is one extent', async () => {
      for (const limit of [31, 32, 33, 64, 1000]) {
        const set = create(limit);
        const chunks = [...Array(limit).keys()];
        for (const chunk of chunks) set.add(chunk);
        await assertExtents(set, chunks, 512, limit * 512);
      }
    });

    test('when the last chunk is partial then its extent is clipped', async () => {
      for (const chunks of [[9], [8, 9], [0, 9], [0, 8]]) {
        const set = create(10);
        for (const chunk of chunks) set.add(chunk);
        await assertExtents(set, chunks, 4096, 9 * 4096 + 512);
      }
    });

    test('when the only chunk is the first and the volume is shorter then it is clipped', async () => {
      const set = create(1);
      set.add(0);
      await assertExtents(set, [0], 65536, 1024);
    });

    test('when seeded random chunks are added in any order then the extents are exact', async () => {
      const random = createRandom(1);
      for (let round = 0; round < 60; round++) {
        const limit = 1 + random.below(200_000);
        const density = random.pick([0.0001, 0.01, 0.5, 0.99]);
        const chunks = [...Array(limit).keys()].filter(() => random.chance(density));
        const set = create(limit);
        const add = random.pick([addSome, addSomeNarrow]);
        assert.equal(add(set, random.shuffle([...chunks])), chunks.length);
        assert.equal(set.findDuplicate(), undefined);
        await assertExtents(set, chunks, 8192, limit * 8192 - random.below(8192));
      }
    });

    test('when a run of any length is added at once then the extents are exact', async () => {
      for (const start of [0, 1, 31, 32, 33]) {
        for (const length of [1, 2, 31, 32, 33, 64, 255, 256, 257, 288, 511, 512, 513, 800]) {
          const chunks = Array.from({ length }, (_, index) => start + index);
          const set = create(start + length);
          assert.equal(set.addRun(start, length), true);
          await assertExtents(set, chunks, 4096, (start + length) * 4096);
        }
      }
    });

    test('when chunks pass 2^32 then none is taken for another', async () => {
      const chunks = [5, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 5, 2 ** 32 + 2 ** 31];
      const limit = 2 ** 32 + 2 ** 31 + 1;
      const oneByOne = create(limit);
      for (const chunk of [...chunks].reverse()) assert.equal(oneByOne.add(chunk), true);
      const together = create(limit);
      assert.equal(addSome(together, [...chunks].reverse()), chunks.length);
      assert.equal(oneByOne.findDuplicate(), undefined);
      await assertExtents(oneByOne, chunks, 4096, limit * 4096);
      const [expected, found] = [oneByOne, together].map((set) =>
        set.toExtents(4096, limit * 4096),
      );
      assert.deepEqual(listExtents(await found!), listExtents(await expected!));
    });
  });
}

test('when a bitmap gets a chunk twice then it stops there', async () => {
  for (const add of [addSome, addSomeNarrow]) {
    const set = createChunkBitmap(100);
    assert.equal(add(set, [31, 30, 31, 29]), 2);
    assert.equal(add(set, [30]), 0);
    await assertExtents(set, [30, 31], 4096, 100 * 4096);
  }
});

test('when a chunk of a run was in a bitmap before then nothing of the run is added', async () => {
  for (const place of [0, 1, 26, 27, 28, 254, 255, 256, 257, 511, 512, 598, 599]) {
    const set = createChunkBitmap(1000);
    set.add(37 + place);
    assert.equal(set.addRun(37, 600), false);
    await assertExtents(set, [37 + place], 4096, 1000 * 4096);
  }
});

test('when seeded chunks and runs meet then a bitmap tells which it had', async () => {
  const random = createRandom(3);
  for (let round = 0; round < 300; round++) {
    const limit = 1000 + random.below(20_000);
    const set = createChunkBitmap(limit);
    const seen = new Set<number>();
    for (let part = 0; part < 6; part++) {
      const first = random.below(limit);
      const count = Math.min(1 + random.below(900), limit - first);
      const chunks = Array.from({ length: count }, (_, index) => first + index);
      const isRun = random.chance(0.5);
      if (!isRun) random.shuffle(chunks).splice(100);
      const known = chunks.findIndex((chunk) => seen.has(chunk));
      if (isRun) {
        assert.equal(set.addRun(first, count), known < 0, `round ${round}, part ${part}`);
        if (known >= 0) continue;
      } else {
        const expected = known < 0 ? chunks.length : known;
        const add = random.pick([addSome, addSomeNarrow]);
        assert.equal(add(set, chunks), expected, `round ${round}, part ${part}`);
        chunks.splice(expected);
      }
      for (const chunk of chunks) seen.add(chunk);
    }
    const sorted = [...seen].sort((a, b) => a - b);
    await assertExtents(set, sorted, 4096, limit * 4096);
  }
});

test('when a run passes 2^32 then a bitmap has its chunks and no others', async () => {
  const first = 2 ** 32 - 150;
  const set = createChunkBitmap(2 ** 32 + 200);
  assert.equal(set.addRun(first, 300), true);
  for (const chunk of [first, 2 ** 32 - 1, 2 ** 32, first + 299])
    assert.equal(set.add(chunk), false);
  for (const chunk of [0, 149, first - 1, first + 300]) assert.equal(set.add(chunk), true);
  assert.equal(set.addRun(first + 299, 1), false);
});

test('when a list gets a chunk twice then findDuplicate names it', () => {
  const set = createChunkList();
  for (const chunk of [7, 2 ** 40, 3, 2 ** 40, 1]) set.add(chunk);
  assert.equal(set.findDuplicate(), 2 ** 40);
});

test('when a list is longer than a slab then nothing is lost between slabs', async () => {
  const set = createChunkList();
  const chunks = Array.from({ length: 3 * 2 ** 16 + 17 }, (_, index) => index * 3);
  addSome(set, [...chunks].reverse());
  await assertExtents(set, chunks, 4096, 2 ** 50);
});

test('when the volume is enormous and the store tiny then a list is taken', () => {
  const enormous = 2 ** 45;
  const set = createChunkSet(enormous, 1000);
  set.add(enormous - 1);
  set.add(enormous - 1);
  assert.equal(set.findDuplicate(), enormous - 1);
});

test('when a bitmap costs no more than 8 bytes an exception then a bitmap is taken', () => {
  const set = createChunkSet(2 ** 33, 2 ** 27);
  set.add(2 ** 33 - 1);
  assert.equal(set.add(2 ** 33 - 1), false);
});
