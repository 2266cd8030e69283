import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createChunkBitmap } from '#lvmsync/extents/chunk-bitmap.js';
import { createChunkSet } from '#lvmsync/extents/chunk-set.js';
import {
  addEntries,
  type BadEntry,
  type EntryFault,
  type ListEnd,
} from '#lvmsync/lvm/store-entries.js';
import {
  areaChunk,
  dataChunk,
  type ExceptionPair,
  encodeEntries,
  entriesPerArea,
} from '../../support/cow-store.js';
import { createRandom, type Random } from '../../support/random.js';

const WORD = 2 ** 32;

interface Sizes {
  chunkBytes: number;
  entriesPerArea: number;
  originChunks: number;
  storeChunks: number;
}

/** So many areas of data, and a part of the next one: its first seven data chunks. */
function sizesOf(chunkBytes: number, areaCount: number): Sizes & { maxEntries: number } {
  const perArea = entriesPerArea(chunkBytes);
  const maxEntries = areaCount * perArea + 7;
  return {
    chunkBytes,
    entriesPerArea: perArea,
    originChunks: maxEntries + 321,
    storeChunks: areaChunk(chunkBytes, areaCount) + 8,
    maxEntries,
  };
}

/** Areas shorter and longer than what is looked at together. */
const SIZES = [sizesOf(512, 21), sizesOf(8192, 2)];

function checksFor({ originChunks, storeChunks, ...sizes }: Sizes) {
  const areaCount = Math.ceil((storeChunks - 1) / (sizes.entriesPerArea + 1));
  const maxExceptions = storeChunks - 1 - areaCount;
  return {
    layout: { ...sizes, storeChunks, areaCount, maxExceptions },
    originChunks,
    oldChunks: createChunkSet(originChunks, 1000),
    newChunks: createChunkSet(storeChunks, 1000),
  };
}

function add(
  pairs: readonly ExceptionPair[],
  sizes: Sizes,
  checks = checksFor(sizes),
): BadEntry | ListEnd | undefined {
  const bytes = encodeEntries(pairs);
  const words = new Uint32Array(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  );
  return addEntries(checks, words, 0, pairs.length);
}

/** As the kernel hands the store's chunks out; the origin's from `firstOld` on. */
function allocated({ chunkBytes }: Sizes, count: number, firstOld = 0): ExceptionPair[] {
  return Array.from({ length: count }, (_, index): ExceptionPair => {
    return [firstOld + index, dataChunk(chunkBytes, index)];
  });
}

/** The same checks, one entry at a time. */
function expected(pairs: readonly ExceptionPair[], sizes: Sizes): BadEntry | ListEnd | undefined {
  const oldSeen = new Set<number>();
  const newSeen = new Set<number>();
  for (const [entry, [old, stored]] of pairs.entries()) {
    if (stored === 0) return { entry, fault: 'none' };
    if (old >= sizes.originChunks) return { entry, fault: 'old-outside', chunk: old };
    if (stored >= sizes.storeChunks) return { entry, fault: 'new-outside', chunk: stored };
    if ((stored - 1) % (sizes.entriesPerArea + 1) === 0)
      return { entry, fault: 'new-is-metadata', chunk: stored };
    if (oldSeen.has(old)) return { entry, fault: 'old-twice', chunk: old };
    if (newSeen.has(stored)) return { entry, fault: 'new-twice', chunk: stored };
    oldSeen.add(old);
    newSeen.add(stored);
  }
  return undefined;
}

for (const sizes of SIZES) {
  const { chunkBytes, entriesPerArea: perArea, originChunks, storeChunks, maxEntries } = sizes;

  describe(`entries as the kernel makes them, ${perArea} an area`, () => {
    test('when all are sound then none is bad', () => {
      for (const count of [1, perArea, perArea + 1, 256, 257, maxEntries]) {
        const pairs = allocated(sizes, count, originChunks - count);
        assert.equal(add(pairs, sizes), undefined, `${count}`);
      }
    });

    const cases: [string, ExceptionPair, EntryFault][] = [
      ['names the first chunk after the origin', [originChunks, 0], 'old-outside'],
      ['names a chunk beyond 2^31', [WORD - 1, 0], 'old-outside'],
      ['names a chunk whose low word alone would do', [WORD + 999, 0], 'old-outside'],
      ['points at the first chunk after the store', [0, storeChunks], 'new-outside'],
      ['points at a chunk beyond 2^31', [0, WORD - 2], 'new-outside'],
      ['points at a chunk whose low word alone would do', [0, WORD + 2], 'new-outside'],
      ['points at the first area', [0, 1], 'new-is-metadata'],
      ['points at a later area', [0, areaChunk(chunkBytes, 1)], 'new-is-metadata'],
      ['points at the last area', [0, storeChunks - 8], 'new-is-metadata'],
    ];
    for (const [what, [old, stored], fault] of cases) {
      test(`when one ${what} then it is named, wherever it is`, () => {
        for (const entry of [0, 1, 31, 32, 33, 255, 256, 257, 600, maxEntries - 1]) {
          const pairs = allocated(sizes, maxEntries, 100);
          const [soundOld, soundNew] = pairs[entry]!;
          pairs[entry] = [old === 0 ? soundOld : old, stored === 0 ? soundNew : stored];
          const chunk = fault === 'old-outside' ? old : stored;
          assert.deepEqual(add(pairs, sizes), { entry, fault, chunk });
        }
      });
    }

    test('when a run of chunks goes on into an area or past the end then that is named', () => {
      for (const [first, entry, fault] of [
        [dataChunk(chunkBytes, 0), perArea, 'new-is-metadata'],
        [dataChunk(chunkBytes, 2 * perArea - 2), 2, 'new-is-metadata'],
        [storeChunks - 7, 7, 'new-outside'],
      ] as const) {
        const pairs = Array.from({ length: perArea + 8 }, (_, i): ExceptionPair => [i, first + i]);
        assert.deepEqual(add(pairs, sizes), { entry, fault, chunk: first + entry });
      }
    });

    test('when two name the same chunk then the second is bad', () => {
      for (const [first, second] of [
        [0, 1],
        [31, 32],
        [3, 300],
        [255, 256],
        [600, 678],
      ] as const) {
        const pairs = allocated(sizes, maxEntries);
        const [old, stored] = pairs[first]!;
        const oldTwice = pairs.with(second, [old, pairs[second]![1]]);
        assert.deepEqual(add(oldTwice, sizes), { entry: second, fault: 'old-twice', chunk: old });
        const newTwice = pairs.with(second, [pairs[second]![0], stored]);
        assert.deepEqual(add(newTwice, sizes), {
          entry: second,
          fault: 'new-twice',
          chunk: stored,
        });
      }
    });

    test('when one points at the header then the list ends there', () => {
      for (const entry of [0, 1, 255, 256, 600, maxEntries - 1]) {
        const pairs = allocated(sizes, maxEntries).with(entry, [originChunks, 0]);
        assert.deepEqual(add(pairs, sizes), { entry, fault: 'none' });
      }
    });

    test('when a run comes a second time then its first entry is bad', () => {
      const pairs = allocated(sizes, perArea);
      const again = pairs.map(([old, stored]): ExceptionPair => [old + perArea, stored]);
      const chunk = pairs[0]![1];
      assert.deepEqual(add([...pairs, ...again], sizes), {
        entry: perArea,
        fault: 'new-twice',
        chunk,
      });
    });

    test('when seeded entries break in any way then the first fault is that of a plain look', () => {
      const random = createRandom(5);
      let bad = 0;
      for (let round = 0; round < 1000; round++) {
        const pairs = allocated(sizes, 1 + random.below(maxEntries), random.below(320));
        if (random.chance(0.2)) random.shuffle(pairs);
        for (let changes = random.below(3); changes > 0; changes--) {
          pairs[random.below(pairs.length)] = [
            oddChunk(random, sizes, originChunks),
            oddChunk(random, sizes, storeChunks),
          ];
        }
        const found = add(pairs, sizes);
        assert.deepEqual(found, expected(pairs, sizes), `round ${round}`);
        if (found) bad++;
      }
      assert.ok(bad > 250 && bad < 950, `${bad} were bad`);
    });
  });
}

test('when chunk numbers are beyond 2^32 then they are told from those below', () => {
  const large = { ...SIZES[0]!, originChunks: 2 ** 40, storeChunks: 2 ** 40 };
  const { chunkBytes } = large;
  const lastArea = Math.floor((WORD - 2) / (large.entriesPerArea + 1));
  const near = areaChunk(chunkBytes, lastArea); // the last area that begins below 2^32
  const beyond = areaChunk(chunkBytes, lastArea + 1);
  const sound: ExceptionPair[] = [
    [WORD - 1, near + 1],
    [WORD, near + 2],
    [WORD + 1, beyond + 1],
    [0, 2],
    [2 ** 40 - 1, near + 3],
  ];
  assert.equal(add(sound, large), undefined);
  for (const chunk of [1, near, beyond, areaChunk(chunkBytes, 3)]) {
    for (let entry = 0; entry <= sound.length; entry++) {
      const pairs = [...sound.slice(0, entry), [7, chunk] as const, ...sound.slice(entry)];
      assert.deepEqual(add(pairs, large), { entry, fault: 'new-is-metadata', chunk });
    }
  }
});

test('when an origin is beyond 2^32 chunks then the first fault is that of a plain look', () => {
  const random = createRandom(6);
  const large = { ...SIZES[0]!, originChunks: 2 * WORD + 1000 };
  let bad = 0;
  for (let round = 0; round < 60; round++) {
    const pairs = allocated(large, 600).map(([old, stored]): ExceptionPair => {
      return [old + random.below(3) * WORD, stored];
    });
    if (random.chance(0.5)) {
      const [first, second] = [random.below(600), random.below(600)];
      const odd = oddChunk(random, large, large.storeChunks);
      pairs[second] = [pairs[first]![0], random.pick([odd, pairs[second]![1]])];
    }
    // A list of so few would not tell at once what came twice.
    const checks = { ...checksFor(large), oldChunks: createChunkBitmap(large.originChunks) };
    const found = add(pairs, large, checks);
    assert.deepEqual(found, expected(pairs, large), `round ${round}`);
    if (found) bad++;
  }
  assert.ok(bad > 15 && bad < 45, `${bad} were bad`);
});

function oddChunk(random: Random, { chunkBytes }: Sizes, limit: number): number {
  return random.pick([
    () => random.below(limit),
    () => limit - 1 + random.below(3),
    () => WORD * random.below(3) + random.below(limit),
    () => WORD - 1 - random.below(3),
    () => areaChunk(chunkBytes, random.below(22)),
  ])();
}
