import assert from 'node:assert/strict';
import { test } from 'node:test';
import { extentsOfList } from '#lvmsync/extents/from.js';
import { createMarkedCursor } from '#lvmsync/extents/marked-cursor.js';
import { createRandom } from '../../support/random.js';

type Range = [offset: number, length: number];

function takeAll(ranges: Range[], marks: Range[] | undefined, maxBytes: number) {
  const cursor = createMarkedCursor(extentsOfList(ranges), marks && extentsOfList(marks));
  const pieces: [...Range, boolean][] = [];
  while (cursor.take(maxBytes)) pieces.push([cursor.offset, cursor.length, cursor.isMarked]);
  assert.equal(cursor.take(1), false, 'the end stays the end');
  return pieces;
}

test('when nothing is marked then the pieces are those of the source', () => {
  const pieces = [
    [5, 10, false],
    [15, 2, false],
    [30, 1, false],
  ];
  const ranges: Range[] = [
    [5, 12],
    [30, 1],
  ];
  assert.deepEqual(takeAll(ranges, undefined, 10), pieces);
  assert.deepEqual(takeAll(ranges, [], 10), pieces);
  assert.deepEqual(takeAll(ranges, [[17, 13]], 10), pieces);
});

test('when a mark begins or ends within an extent then the extent is cut there', () => {
  assert.deepEqual(takeAll([[0, 20]], [[5, 10]], 100), [
    [0, 5, false],
    [5, 10, true],
    [15, 5, false],
  ]);
});

test('when extents and marks are random then every byte is in one piece, rightly marked', () => {
  const random = createRandom(7);
  for (let round = 0; round < 200; round++) {
    const [ranges, marks] = [randomRanges(), randomRanges()];
    const isIn = (list: Range[], byte: number) =>
      list.some(([offset, length]) => byte >= offset && byte < offset + length);
    const maxBytes = 1 + random.below(30);
    const found = takeAll(ranges, marks, maxBytes).flatMap(([offset, length, isMarked]) => {
      assert.ok(length > 0 && length <= maxBytes);
      return Array.from({ length }, (_, i) => [offset + i, isMarked]);
    });
    const wanted = ranges.flatMap(([offset, length]) =>
      Array.from({ length }, (_, i) => [offset + i, isIn(marks, offset + i)]),
    );
    assert.deepEqual(found, wanted);
  }

  function randomRanges(): Range[] {
    const ranges: Range[] = [];
    for (let at = random.below(20); at < 300; at += 1 + random.below(20)) {
      const length = 1 + random.below(40);
      ranges.push([at, length]);
      at += length;
    }
    return ranges;
  }
});
