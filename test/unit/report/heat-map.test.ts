import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCoverage } from '#lvmsync/extents/coverage.js';
import { layOutMap, levelOf, rowBytesOf } from '#lvmsync/report/heat-map.js';
import { createRandom } from '../../support/random.js';

const MIB = 2 ** 20;

test('when a volume is laid out, then rows are the smallest power of two that does, and the last one ends with it', () => {
  for (const [bytes, rowBytes, rows] of [
    [64 * MIB, 4 * MIB, 16],
    [64 * MIB + 1, 8 * MIB, 9],
    [4 * 2 ** 40, 2 ** 38, 16],
    [1, 32 * 1024, 1],
  ] as const) {
    assert.equal(rowBytesOf(bytes, 16), rowBytes);
    const map = layOutMap(createCoverage(), bytes, { columns: 70, maxRows: 16 });
    assert.equal(map.rows.length, rows);
  }
  const short = layOutMap(createCoverage(), 65 * MIB, { columns: 64, maxRows: 16 });
  assert.deepEqual(
    short.rows.map(({ length }) => length),
    [64, 64, 64, 64, 64, 64, 64, 64, 8],
  );
  const empty = layOutMap(createCoverage(), 0, { columns: 64, maxRows: 16 });
  assert.equal(empty.rows.length, 0);
});

test('when some of a cell has changed, then it holds that part of it, and every byte is in one cell', () => {
  const random = createRandom(2);
  const bytes = 24 * MIB + 100;
  const covered = new Uint8Array(bytes);
  const coverage = createCoverage();
  for (let offset = random.below(100_000); offset < bytes - 20_000; ) {
    const length = 512 * (1 + random.below(30));
    const start = Math.floor(offset / 512) * 512;
    coverage.add(start, length);
    covered.fill(1, start, start + length);
    offset = start + length + random.below(100_000);
  }
  // Cells of whole parts, so that the shares are exact.
  const map = layOutMap(coverage, bytes, { columns: 64, maxRows: 16 });
  let cellStart = 0;
  for (const share of map.rows.flatMap((row) => [...row])) {
    const cell = covered.subarray(cellStart, cellStart + map.cellBytes);
    const expected = cell.reduce((sum, bit) => sum + bit, 0) / cell.length;
    assert.ok(Math.abs(share - expected) < 1e-9, `cell at ${cellStart}: ${share}, not ${expected}`);
    cellStart += cell.length;
  }
  assert.equal(cellStart, bytes);
});

test('when the cells are no whole parts, then what is unchanged is nothing and what is changed all over is all', () => {
  const coverage = createCoverage();
  coverage.add(20 * MIB, 20 * MIB);
  const { rows, rowBytes, cellBytes } = layOutMap(coverage, 64 * MIB, { columns: 67, maxRows: 16 });
  for (const [row, shares] of rows.entries()) {
    for (const [column, share] of shares.entries()) {
      const from = row * rowBytes + column * cellBytes;
      const inside = from >= 20 * MIB && from + cellBytes <= 40 * MIB;
      const outside = from + cellBytes <= 20 * MIB || from >= 40 * MIB;
      if (inside) assert.ok(share > 0.999_999 && share <= 1);
      if (outside) assert.equal(share, 0);
    }
  }
});

test('when a single block of a huge volume has changed, then one cell is not at level 0', () => {
  const coverage = createCoverage();
  coverage.add(3 * 2 ** 40 + 4096, 4096);
  const map = layOutMap(coverage, 4 * 2 ** 40, { columns: 71, maxRows: 16 });
  const levels = map.rows.flatMap((row) => Array.from(row, levelOf));
  assert.deepEqual(
    levels.filter((level) => level > 0),
    [1],
  );
});

test('when a share is at the edge of a level, then it belongs to the lower one', () => {
  const shares = [0, 1e-12, 0.01, 0.011, 0.1, 0.11, 0.5, 0.51, 1];
  assert.deepEqual(shares.map(levelOf), [0, 1, 1, 2, 2, 3, 3, 4, 4]);
});
