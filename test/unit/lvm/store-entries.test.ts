import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createChunkSet } from '#lvmsync/extents/chunk-set.js';
import { addEntries, type BadEntry, type EntryFault } from '#lvmsync/lvm/store-entries.js';
import {
  areaChunk,
  dataChunk,
  type ExceptionPair,
  encodeEntries,
} from '../../support/cow-store.js';
import { createRandom, type Random } from '../../support/random.js';

const CHUNK_BYTES = 512;
const PER_AREA = 32;
const WORD = 2 ** 32;

interface Sizes {
  originChunks: number;
  storeChunks: number;
}

/** Areas 0 to 20, and a part of area 21: its first data chunks. */
const SIZES: Sizes = { originChunks: 1000, storeChunks: areaChunk(CHUNK_BYTES, 21) + 8 };
const MAX_ENTRIES = 21 * PER_AREA + 7;
/** The last area that begins below 2^32, and the store goes on far beyond. */
const LARGE: Sizes = { originChunks: 2 ** 40, storeChunks: 2 ** 40 };
const LAST_AREA = Math.floor((WORD - 2) / (PER_AREA + 1));

function checksFor({ originChunks, storeChunks }: Sizes) {
  const areaCount = Math.ceil((storeChunks - 1) / (PER_AREA + 1));
  const maxExceptions = storeChunks - 1 - areaCount;
  return {
    layout: {
      chunkBytes: CHUNK_BYTES,
      storeChunks,
      entriesPerArea: PER_AREA,
      areaCount,
      maxExceptions,
    },
    originChunks,
    oldChunks: createChunkSet(originChunks, 1000),
    newChunks: createChunkSet(storeChunks, 1000),
  };
}

function add(pairs: readonly ExceptionPair[], sizes: Sizes = SIZES): BadEntry | undefined {
  const bytes = encodeEntries(pairs);
  const words = new Uint32Array(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length),
  );
  return addEntries(checksFor(sizes), words, pairs.length);
}

/** As the kernel hands the store's chunks out; the origin's from `firstOld` on. */
function allocated(count: number, firstOld = 0): ExceptionPair[] {
  return Array.from({ length: count }, (_, index): ExceptionPair => {
    return [firstOld + index, dataChunk(CHUNK_BYTES, index)];
  });
}

/** The same checks, one entry at a time. */
function expected(pairs: readonly ExceptionPair[], sizes: Sizes): BadEntry | undefined {
  for (const [entry, [old, stored]] of pairs.entries()) {
    if (old >= sizes.originChunks) return { entry, fault: 'old-outside', chunk: old };
    if (stored >= sizes.storeChunks) return { entry, fault: 'new-outside', chunk: stored };
    if ((stored - 1) % (PER_AREA + 1) === 0)
      return { entry, fault: 'new-is-metadata', chunk: stored };
  }
  return firstTwice(pairs, 0, 'old-twice') ?? firstTwice(pairs, 1, 'new-twice');
}

function firstTwice(
  pairs: readonly ExceptionPair[],
  which: 0 | 1,
  fault: EntryFault,
): BadEntry | undefined {
  const seen = new Set<number>();
  for (const [entry, pair] of pairs.entries()) {
    const chunk = pair[which];
    if (seen.has(chunk)) return { entry, fault, chunk };
    seen.add(chunk);
  }
  return undefined;
}

describe('entries as the kernel makes them', () => {
  test('when all are sound then none is bad', () => {
    for (const count of [1, PER_AREA, PER_AREA + 1, 256, 257, MAX_ENTRIES]) {
      assert.equal(add(allocated(count, SIZES.originChunks - count)), undefined, `${count}`);
    }
  });

  const cases: [string, ExceptionPair, EntryFault][] = [
    ['names the first chunk after the origin', [1000, 0], 'old-outside'],
    ['names a chunk beyond 2^31', [WORD - 1, 0], 'old-outside'],
    ['names a chunk whose low word alone would do', [WORD + 999, 0], 'old-outside'],
    ['points at the first chunk after the store', [0, SIZES.storeChunks], 'new-outside'],
    ['points at a chunk beyond 2^31', [0, WORD - 2], 'new-outside'],
    ['points at a chunk whose low word alone would do', [0, WORD + 2], 'new-outside'],
    ['points at the first area', [0, 1], 'new-is-metadata'],
    ['points at a later area', [0, areaChunk(CHUNK_BYTES, 3)], 'new-is-metadata'],
    ['points at the last area', [0, areaChunk(CHUNK_BYTES, 21)], 'new-is-metadata'],
  ];
  for (const [what, [old, stored], fault] of cases) {
    test(`when one ${what} then it is named, wherever it is`, () => {
      for (const entry of [0, 1, 31, 32, 33, 255, 256, 257, 600, MAX_ENTRIES - 1]) {
        const pairs = allocated(MAX_ENTRIES, 100);
        const [soundOld, soundNew] = pairs[entry]!;
        pairs[entry] = [old === 0 ? soundOld : old, stored === 0 ? soundNew : stored];
        const chunk = fault === 'old-outside' ? old : stored;
        assert.deepEqual(add(pairs), { entry, fault, chunk });
      }
    });
  }

  test('when a run of chunks goes on into an area or past the end then that is named', () => {
    for (const [first, entry, fault] of [
      [dataChunk(CHUNK_BYTES, 0), PER_AREA, 'new-is-metadata'],
      [dataChunk(CHUNK_BYTES, 5 * PER_AREA + 30), 2, 'new-is-metadata'],
      [dataChunk(CHUNK_BYTES, 21 * PER_AREA), 7, 'new-outside'],
    ] as const) {
      const pairs = Array.from({ length: 40 }, (_, i): ExceptionPair => [i, first + i]);
      assert.deepEqual(add(pairs), { entry, fault, chunk: first + entry });
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
      const pairs = allocated(MAX_ENTRIES);
      const [old, stored] = pairs[first]!;
      const oldTwice = pairs.with(second, [old, pairs[second]![1]]);
      assert.deepEqual(add(oldTwice), { entry: second, fault: 'old-twice', chunk: old });
      const newTwice = pairs.with(second, [pairs[second]![0], stored]);
      assert.deepEqual(add(newTwice), { entry: second, fault: 'new-twice', chunk: stored });
    }
  });
});

test('when chunk numbers are beyond 2^32 then they are told from those below', () => {
  const near = areaChunk(CHUNK_BYTES, LAST_AREA);
  const beyond = areaChunk(CHUNK_BYTES, LAST_AREA + 1);
  const sound: ExceptionPair[] = [
    [WORD - 1, near + 1],
    [WORD, near + 2],
    [WORD + 1, beyond + 1],
    [0, 2],
    [2 ** 40 - 1, near + 3],
  ];
  assert.equal(add(sound, LARGE), undefined);
  for (const chunk of [1, near, beyond, areaChunk(CHUNK_BYTES, 3)]) {
    for (let entry = 0; entry <= sound.length; entry++) {
      const pairs = [...sound.slice(0, entry), [7, chunk] as const, ...sound.slice(entry)];
      assert.deepEqual(add(pairs, LARGE), { entry, fault: 'new-is-metadata', chunk });
    }
  }
});

test('when seeded entries break in any way then the first fault is the one of a plain look', () => {
  const random = createRandom(5);
  let bad = 0;
  for (let round = 0; round < 2000; round++) {
    const pairs = allocated(1 + random.below(MAX_ENTRIES), random.below(400));
    if (random.chance(0.2)) random.shuffle(pairs);
    for (let changes = random.below(3); changes > 0; changes--) {
      pairs[random.below(pairs.length)] = [
        oddChunk(random, 1000),
        oddChunk(random, SIZES.storeChunks),
      ];
    }
    const found = add(pairs);
    assert.deepEqual(found, expected(pairs, SIZES), `round ${round}`);
    if (found) bad++;
  }
  assert.ok(bad > 500 && bad < 1900, `${bad} were bad`);
});

function oddChunk(random: Random, limit: number): number {
  return random.pick([
    () => random.below(limit),
    () => limit - 1 + random.below(3),
    () => WORD * random.below(3) + random.below(limit),
    () => WORD - 1 - random.below(3),
    () => areaChunk(CHUNK_BYTES, random.below(22)),
  ])();
}
