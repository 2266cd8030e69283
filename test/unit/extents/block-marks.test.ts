import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBlockMarks } from '#lvmsync/extents/block-marks.js';
import { extentsOfList } from '#lvmsync/extents/from.js';
import { sampleOf } from '#lvmsync/extents/sample.js';
import { listExtents } from '../../support/extents.js';
import { createRandom } from '../../support/random.js';

test('when ranges are marked, some of them twice, then the blocks they have a part in come out joined', async () => {
  const random = createRandom(1);
  const volumeBytes = 5000 * 4096 + 700;
  const marks = createBlockMarks(volumeBytes, 4096);
  const marked = new Set<number>();
  for (let i = 0; i < 300; i++) {
    const length = 1 + random.below(random.chance(0.1) ? 2_000_000 : 9000);
    const offset = random.below(volumeBytes - length);
    marks.mark(offset, length);
    for (let block = Math.floor(offset / 4096); block * 4096 < offset + length; block++) {
      marked.add(block);
    }
  }
  marks.mark(volumeBytes - 1, 1);
  marked.add(5000);
  const found = await marks.toExtents();
  const blocks = listExtents(found).flatMap(([offset, length]) =>
    Array.from({ length: Math.ceil(length / 4096) }, (_, i) => offset / 4096 + i),
  );
  assert.deepEqual(
    blocks,
    [...marked].sort((a, b) => a - b),
  );
  assert.deepEqual(listExtents(found).at(-1)![1] % 4096, 700, 'the last block is a short one');
});

test('when a volume has more blocks than 32 bits count then the last of them can be marked', async () => {
  const volumeBytes = 2 ** 32 * 4096 + 4096 * 10;
  const marks = createBlockMarks(volumeBytes, 4096);
  marks.mark(2 ** 32 * 4096 + 4096, 8192);
  assert.deepEqual(listExtents(await marks.toExtents()), [[2 ** 32 * 4096 + 4096, 8192]]);
});

test('when a sample is taken then it is so many whole blocks of the extents, spread over all of them', () => {
  const blockBytes = 65536;
  const extents = extentsOfList([
    [0, 100 * blockBytes],
    [200 * blockBytes, 4096],
    [300 * blockBytes + 4096, 99 * blockBytes + 512],
  ]);
  for (let round = 0; round < 20; round++) {
    const sample = sampleOf(extents, { blocks: 20 }, blockBytes);
    const list = listExtents(sample);
    assert.equal(list.length, 20);
    let previousEnd = 0;
    for (const [offset, length] of list) {
      assert.ok(offset >= previousEnd, 'ascending');
      previousEnd = offset + length;
      const [start, extentBytes] = listExtents(extents).findLast(([first]) => first <= offset)!;
      assert.equal((offset - start) % blockBytes, 0);
      assert.equal(length, Math.min(blockBytes, start + extentBytes - offset));
    }
    assert.ok(list.filter(([offset]) => offset < 150 * blockBytes).length >= 9, 'spread');
    assert.ok(list.filter(([offset]) => offset > 250 * blockBytes).length >= 9, 'spread');
  }
  assert.equal(listExtents(sampleOf(extents, { percent: 10 }, blockBytes)).length, 21);
  assert.equal(sampleOf(extents, { blocks: 201 }, blockBytes), extents);
  assert.equal(sampleOf(extents, { percent: 100 }, blockBytes), extents);
  assert.equal(listExtents(sampleOf(extents, { blocks: 1 }, blockBytes)).length, 1);
  assert.equal(sampleOf(extentsOfList([]), { percent: 1 }, blockBytes).totalBytes, 0);
});
