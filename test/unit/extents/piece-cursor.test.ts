import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExtentSource } from '#lvmsync/extents/extents.js';
import { createPieceCursor } from '#lvmsync/extents/piece-cursor.js';

function sourceOf(...slices: [number, number][][]): ExtentSource {
  const all = slices.flat();
  return {
    totalBytes: all.reduce((total, [, length]) => total + length, 0),
    extentCount: all.length,
    slices: () =>
      slices.map((slice) => ({
        count: slice.length,
        offsets: Float64Array.from(slice, ([offset]) => offset),
        lengths: Float64Array.from(slice, ([, length]) => length),
      })),
  };
}

function takeAll(source: ExtentSource, ...sizes: number[]): [number, number][] {
  const cursor = createPieceCursor(source);
  const pieces: [number, number][] = [];
  for (let round = 0; cursor.take(sizes[round % sizes.length]!); round++) {
    pieces.push([cursor.offset, cursor.length]);
  }
  assert.equal(cursor.take(1), false, 'the end stays the end');
  return pieces;
}

test('when there is no extent then there is no piece', () => {
  assert.deepEqual(takeAll(sourceOf(), 10), []);
  assert.deepEqual(takeAll(sourceOf([], []), 10), []);
});

test('when extents are longer than a piece then they are cut, the rest last', () => {
  assert.deepEqual(takeAll(sourceOf([[100, 25]], [], [[2 ** 40, 10]]), 10), [
    [100, 10],
    [110, 10],
    [120, 5],
    [2 ** 40, 10],
  ]);
});

test('when the room changes from piece to piece then each piece fits its room', () => {
  assert.deepEqual(takeAll(sourceOf([[0, 10]]), 3, 1), [
    [0, 3],
    [3, 1],
    [4, 3],
    [7, 1],
    [8, 2],
  ]);
});
