import assert from 'node:assert/strict';
import { test } from 'node:test';
import { extentsOfList } from '#lvmsync/extents/from.js';
import { createRemaining } from '#lvmsync/extents/remaining.js';
import { createRandom } from '../../support/random.js';

/** All blocks of the extents, as block numbers; the last may be a part of one. */
function blocksOf(list: readonly [number, number][], blockBytes: number): number[] {
  return list.flatMap(([offset, length]) =>
    Array.from({ length: Math.ceil(length / blockBytes) }, (_, i) => offset / blockBytes + i),
  );
}

for (const [blockBytes, volumeBlocks] of [
  [4096, 20_000],
  [512, 9000],
] as const) {
  test(`when blocks of ${blockBytes} bytes are taken out while others are handed out then all others come, once and in order`, () => {
    const random = createRandom(blockBytes);
    let outCount = 0;
    let handedOutCount = 0;
    for (let round = 0; round < 20; round++) {
      const list: [number, number][] = [];
      let block = random.below(100);
      while (block < volumeBlocks) {
        const run = 1 + random.below(random.chance(0.1) ? 6000 : 40);
        const end = Math.min(block + run, volumeBlocks);
        list.push([block * blockBytes, (end - block) * blockBytes]);
        block = end + 1 + random.below(random.chance(0.1) ? 5000 : 40);
      }
      const last = list.at(-1)!;
      last[1] -= 100; // the end of the volume is not the end of a block
      const all = blocksOf(list, blockBytes);
      const remaining = createRemaining(extentsOfList(list), blockBytes);
      const out = new Set<number>();

      const takeOut = () => {
        for (let i = 0; i < 300; i++) {
          const [offset, length] = random.pick(list);
          const skipped = random.below(Math.ceil(length / blockBytes)) * blockBytes;
          const start = offset + skipped;
          const bytes = Math.min(length - skipped, (1 + random.below(30)) * blockBytes);
          const isAhead = start >= remaining.frontier;
          assert.equal(remaining.remove(start, bytes), isAhead ? bytes : 0);
          if (isAhead) for (const one of blocksOf([[start, bytes]], blockBytes)) out.add(one);
        }
      };
      takeOut();
      const handedOut: [number, number][] = [];
      for (const { count, offsets, lengths } of remaining.slices()) {
        assert.ok(count > 0);
        for (let i = 0; i < count; i++) handedOut.push([offsets[i]!, lengths[i]!]);
        takeOut();
      }
      assert.deepEqual(
        blocksOf(handedOut, blockBytes),
        all.filter((one) => !out.has(one)),
      );
      assert.equal(remaining.remove(last[0], blockBytes), 0, 'too late');
      outCount += out.size;
      handedOutCount += handedOut.length;
    }
    assert.ok(outCount > 0 && handedOutCount > 0);
  });
}

test('when nothing is taken out then long extents come in parts, no further ahead than 2 MiB', () => {
  const length = 2 ** 36 + 512;
  const remaining = createRemaining(extentsOfList([[4096, length]]), 4096);
  let end = 4096;
  for (const { count, offsets, lengths } of remaining.slices()) {
    for (let i = 0; i < count; i++) {
      if (offsets[i] !== end) assert.fail(`${offsets[i]} instead of ${end}`);
      end += lengths[i]!;
    }
    assert.ok(remaining.frontier - end <= 2 << 20 || end === 4096 + length);
  }
  assert.equal(end, 4096 + length);
});

test('when the first extent is cut inside a block then it comes as it is', () => {
  const remaining = createRemaining(extentsOfList([[1000, 9000]]), 4096);
  remaining.remove(4096, 4096);
  const [slice] = remaining.slices();
  assert.deepEqual([...slice!.offsets.subarray(0, slice!.count)], [1000, 8192]);
  assert.deepEqual([...slice!.lengths.subarray(0, slice!.count)], [3096, 1808]);
});
