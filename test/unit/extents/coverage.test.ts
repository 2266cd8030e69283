import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCoverage, mayOverlap } from '#lvmsync/extents/coverage.js';
import { createRandom } from '../../support/random.js';

const MIB = 2 ** 20;

test('when ranges are added in any order and size, then each part holds as many bytes as they cover', () => {
  const random = createRandom(1);
  const bytes = 8 * MIB + 333;
  const covered = new Uint8Array(bytes);
  const ranges: [number, number][] = [];
  for (let offset = random.below(5000); offset < bytes; ) {
    const length = Math.min(bytes - offset, 1 + random.below(random.chance(0.1) ? 300_000 : 3000));
    ranges.push([offset, length]);
    covered.fill(1, offset, offset + length);
    offset += length + random.below(20_000);
  }
  const coverage = createCoverage();
  for (const [offset, length] of random.shuffle(ranges)) coverage.add(offset, length);
  const bins = coverage.bins();
  assert.equal(bins.binBytes, 512);
  for (let bin = 0; bin * 512 < bytes; bin++) {
    const expected = covered
      .subarray(bin * 512, (bin + 1) * 512)
      .reduce((sum, bit) => sum + bit, 0);
    assert.equal(bins.covered[bin], expected, `part ${bin}`);
  }
  assert.equal(coverage.end, Math.max(...ranges.map(([offset, length]) => offset + length)));
});

test('when a range lies far beyond, then the parts grow and nothing is lost', () => {
  const coverage = createCoverage();
  coverage.add(1000, 5 * MIB);
  coverage.add(2 ** 43, 12_345);
  coverage.add(7 * MIB, 4096);
  const { binBytes, covered } = coverage.bins();
  const sum = covered.reduce((total, bytes) => total + bytes, 0);
  assert.equal(sum, 5 * MIB + 12_345 + 4096);
  assert.equal(covered[0], 5 * MIB + 4096);
  assert.equal(covered[2 ** 43 / binBytes], 12_345);
  assert.ok(binBytes * covered.length >= coverage.end);
});

test('when the last byte that can be numbered is covered, then it is', () => {
  const coverage = createCoverage();
  coverage.add(Number.MAX_SAFE_INTEGER - 512, 512);
  assert.equal(coverage.bins().covered.at(-1), 512);
});

test('when a range is there again and again, then no part holds more than itself', () => {
  const coverage = createCoverage();
  for (let i = 0; i < 1000; i++) coverage.add(100, 100_000);
  assert.ok(coverage.bins().covered.every((bytes) => bytes <= 512));
});

test('when two share no part, then they do not overlap, whatever the size of their parts', () => {
  const [near, far, both] = [createCoverage(), createCoverage(), createCoverage()];
  near.add(4096, 4096);
  far.add(2 ** 40, 4096);
  both.add(0, 2 ** 40 + 1);
  assert.equal(mayOverlap(near, far), false);
  assert.equal(mayOverlap(far, near), false);
  assert.equal(mayOverlap(near, both), true);
  assert.equal(mayOverlap(both, far), true);
  assert.equal(mayOverlap(createCoverage(), both), false);
});
