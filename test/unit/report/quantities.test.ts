import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counted, inBitRate, inBytes, inPercent, inTime } from '#lvmsync/report/quantities.js';

test('when an amount is told, then in the unit that a person would take', () => {
  assert.deepEqual([0, 1023, 1024, 1.5 * 2 ** 30, 2 ** 53].map(inBytes), [
    '0 bytes',
    '1023 bytes',
    '1.0 KiB',
    '1.5 GiB',
    '8.0 PiB',
  ]);
  assert.deepEqual([1e8, 1e9, 2.5e9, 1e10, 64_000].map(inBitRate), [
    '100 Mbit/s',
    '1 Gbit/s',
    '2.5 Gbit/s',
    '10 Gbit/s',
    '64 kbit/s',
  ]);
  assert.deepEqual([0, 1e-9, 0.0005, 0.072, 1].map(inPercent), [
    '0%',
    '<0.01%',
    '0.05%',
    '7.2%',
    '100.0%',
  ]);
  assert.deepEqual(
    [counted(0, 'extent'), counted(1, 'extent'), counted(2, 'extent')],
    ['0 extents', '1 extent', '2 extents'],
  );
});

test('when a time is told, then in its two largest units', () => {
  const day = 86_400;
  const told: [number, string][] = [
    [0.01, 'less than 0.1 s'],
    [0.44, '0.4 s'],
    [1, '1 s'],
    [9.96, '10 s'],
    [59.4, '59 s'],
    [59.6, '1 min'],
    [61, '1 min 1 s'],
    [3599.7, '1 h'],
    [7500, '2 h 5 min'],
    [day, '1 d'],
    [3 * day + 4 * 3600 + 59, '3 d 4 h'],
    [4000 * day, 'more than 10 years'],
  ];
  for (const [seconds, words] of told) assert.equal(inTime(seconds), words);
});
