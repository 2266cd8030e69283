import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes, formatDuration, formatRate } from '#lvmsync/report/units.js';

const GIB = 2 ** 30;

test('an amount has three digits and the unit that suits it', () => {
  const amounts = [0, 1, 999, 1000, 1024, 10_230, 1_048_575, 1.5 * GIB, 99.96 * GIB, 4096 * GIB];
  assert.deepEqual(amounts.map(formatBytes), [
    ...['0 B', '1 B', '999 B', '0.98 KiB', '1.00 KiB', '9.99 KiB'],
    ...['1.00 MiB', '1.50 GiB', '100 GiB', '4.00 TiB'],
  ]);
});

test('no amount takes more columns than another', () => {
  for (let bytes = 1; bytes < 2 ** 53; bytes = Math.ceil(bytes * 1.013)) {
    assert.ok(formatBytes(bytes).length <= '1.00 MiB'.length, `${bytes}: ${formatBytes(bytes)}`);
  }
});

test('a rate is an amount a second', () => {
  assert.equal(formatRate(2048), '2.00 KiB/s');
});

test('a time has as many parts as it needs', () => {
  const times = [0, 7.4, 59.6, 754, 3723, 86_399.6, 273_900];
  assert.deepEqual(times.map(formatDuration), [
    ...['0:00', '0:07', '1:00', '12:34', '1:02:03', '1d 00:00', '3d 04:05'],
  ]);
});
