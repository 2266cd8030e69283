import assert from 'node:assert/strict';
import { test } from 'node:test';
import { usedStoreBytes } from '#lvmsync/lvm/store-header.js';
import { estimateTransfer, forecastOverflow, streamBytes } from '#lvmsync/workflow/forecast.js';
import { readFixtureText } from '../../support/thick-fixtures.js';

const GIB = 2 ** 30;
const near = (value: number, expected: number) =>
  assert.ok(Math.abs(value / expected - 1) < 0.01, `${value}, not about ${expected}`);

test('when a run is estimated, then by what a link leaves of its rate', () => {
  const estimate = estimateTransfer({ dataBytes: 10 * GIB, extentCount: 1000 }, 100 * GIB, 1e9);
  near(estimate.changesSeconds, (10 * GIB * 8) / 0.94e9);
  near(estimate.wholeSeconds, (100 * GIB * 8) / 0.94e9);
  const nothing = estimateTransfer({ dataBytes: 0, extentCount: 0 }, GIB, 1e9);
  assert.equal(nothing.changesSeconds, 0);
});

test('when chunks are scattered, then what their places take is counted', () => {
  const scattered = streamBytes(2 ** 20 * 4096, 2 ** 20);
  assert.equal(scattered, 2 ** 20 * (4096 + 8) + 32 * (4096 + 4096));
});

test('when a snapshot goes on filling as it did, then it is full when the rest is used too', () => {
  const fill = { usedBytes: 3 * GIB, totalBytes: 10 * GIB, grownBytes: 3 * GIB, seconds: 3600 };
  near(forecastOverflow(fill)!, (7 / 3) * 3600);
  assert.equal(forecastOverflow({ ...fill, usedBytes: 10 * GIB }), 0);
});

test('when nothing has come yet or it is too young, then nothing is foretold', () => {
  const fill = { usedBytes: GIB, totalBytes: 10 * GIB, grownBytes: GIB, seconds: 3600 };
  assert.equal(forecastOverflow({ ...fill, grownBytes: 0 }), undefined);
  assert.equal(forecastOverflow({ ...fill, seconds: 59 }), undefined);
  assert.equal(forecastOverflow({ ...fill, seconds: -5 }), undefined);
});

for (const [fixture, chunkBytes] of [
  ['thick-4k', 4096],
  ['thick-64k', 65_536],
  ['thick-64k-empty', 65_536],
  ['thick-8k-snapwrites', 8192],
] as const) {
  test(`when ${fixture} is looked at without LVM, then as much of it is used as the kernel said`, () => {
    const status = readFixtureText(fixture, 'dmsetup-status.txt');
    const sectors = Number(/snapshot (\d+)\//.exec(status)?.[1]);
    const { exceptions } = JSON.parse(readFixtureText(fixture, 's.cow.json'));
    assert.equal(usedStoreBytes(exceptions.length, chunkBytes), sectors * 512);
  });
}
