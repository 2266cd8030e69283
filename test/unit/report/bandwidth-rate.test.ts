import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRate } from '#lvmsync/report/bandwidth-rate.js';

const RATES: Record<string, number> = {
  '0': 0,
  '0K': 0,
  '0.0': 0,
  '1': 1024,
  '500': 512_000,
  '1.5m': 1_572_864,
  '2M': 2 << 20,
  '2MiB': 2 << 20,
  '2mb': 2_000_000,
  '1G': 2 ** 30,
  '.5G': 2 ** 29,
  '1T': 2 ** 40,
  '4096B': 4096,
  '1KB': Number.NaN,
  '1023B': Number.NaN,
  '0.5': Number.NaN,
  '': Number.NaN,
  '-1': Number.NaN,
  '1 M': Number.NaN,
  '1X': Number.NaN,
  '1e6': Number.NaN,
  '.': Number.NaN,
  '999999999999T': Number.NaN,
};

for (const [text, rate] of Object.entries(RATES)) {
  const expected = Number.isNaN(rate) ? undefined : rate;
  test(`"${text}" is ${expected ?? 'no rate'}`, () => assert.equal(parseRate(text), expected));
}
