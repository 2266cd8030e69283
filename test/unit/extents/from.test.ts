import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createChunkSet } from '#lvmsync/extents/chunk-set.js';
import { extentsDigest } from '#lvmsync/extents/digest.js';
import type { ExtentSource } from '#lvmsync/extents/extents.js';
import { extentsFrom, extentsOfBoth, extentsOfList } from '#lvmsync/extents/from.js';
import { offsetsOutside } from '#lvmsync/extents/outside.js';
import { listExtents, sumLengths } from '../../support/extents.js';
import { createRandom } from '../../support/random.js';

const CHUNK_BYTES = 4096;
const CHUNKS = 400_000;
const random = createRandom(1);

/** Every third chunk or so: many slices. */
async function manyExtents(): Promise<ExtentSource> {
  const set = createChunkSet(CHUNKS, CHUNKS);
  for (let chunk = random.below(6); chunk < CHUNKS; chunk += 1 + random.below(6)) {
    set.add(chunk);
  }
  return set.toExtents(CHUNK_BYTES, CHUNKS * CHUNK_BYTES);
}

/** Extents as [offset, length], from an offset on. */
function cut(list: readonly (readonly [number, number])[], offset: number): [number, number][] {
  return list
    .map(([start, length]): [number, number] => {
      const from = Math.max(start, offset);
      return [from, start + length - from];
    })
    .filter(([, length]) => length > 0);
}

test('when extents are taken from an offset on, then that is what they hold and count', async () => {
  const source = await manyExtents();
  const all = listExtents(source);
  assert.ok(all.length > 4096 * 10);
  const [start, length] = all[all.length >> 1]!;
  for (const offset of [0, 1, start, start + 512, start + length, CHUNKS * CHUNK_BYTES]) {
    const rest = await extentsFrom(source, offset);
    const expected = cut(all, offset);
    assert.deepEqual(listExtents(rest), expected);
    assert.deepEqual([rest.extentCount, rest.totalBytes], [expected.length, sumLengths(expected)]);
    const both = extentsOfBoth(extentsOfList(all.slice(0, 1)), rest);
    assert.deepEqual(listExtents(both), [...all.slice(0, 1), ...expected]);
  }
});

test('when offsets are looked up, then those in no extent are found', async () => {
  const source = await manyExtents();
  const inside = new Set<number>();
  for (const [offset, length] of listExtents(source)) {
    for (let at = offset; at < offset + length; at += CHUNK_BYTES) inside.add(at);
  }
  for (const count of [0, 1, 1000]) {
    const offsets = Array.from({ length: count }, () => random.below(CHUNKS) * CHUNK_BYTES);
    offsets.sort((a, b) => a - b);
    const expected = offsets.filter((offset) => !inside.has(offset));
    assert.deepEqual(await offsetsOutside(source, offsets), expected);
  }
});

test('when the digest of a long list is made, then others have their turn meanwhile', async () => {
  const source = await manyExtents();
  let turns = 0;
  let going = true;
  const count = () => {
    turns++;
    if (going) setImmediate(count);
  };
  // As slow as a list a hundred times as long.
  const slow: ExtentSource = {
    ...source,
    *slices() {
      for (const slice of source.slices()) {
        for (const end = performance.now() + 2; performance.now() < end; );
        yield slice;
      }
    },
  };
  setImmediate(count);
  const digest = await extentsDigest(slow);
  going = false;
  assert.equal(digest, await extentsDigest(source));
  assert.ok(turns >= 5, `${turns} turns`);
});
