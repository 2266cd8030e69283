import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLocalTime } from '#lvmsync/cli/local-time.js';

process.env.TZ = 'America/New_York';

const TIMES = [
  ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00.000Z'],
  ['2026-01-31T12:00:00.25Z', '2026-01-31T12:00:00.250Z'],
  ['2026-01-31T12:00Z', '2026-01-31T12:00:00.000Z'],
  ['2026-01-31 12:00:00+02:00', '2026-01-31T10:00:00.000Z'],
  ['2026-01-31T12:00:00-0330', '2026-01-31T15:30:00.000Z'],
  ['2026-01-31T12:00:00', '2026-01-31T17:00:00.000Z'],
  ['2026-07-31 12:00', '2026-07-31T16:00:00.000Z'],
  ['2026-01-31', '2026-01-31T05:00:00.000Z'],
  ['2024-02-29', '2024-02-29T05:00:00.000Z'],
] as const;

for (const [text, time] of TIMES) {
  test(`when the time is ${text} then it is ${time}`, () => {
    assert.equal(parseLocalTime(text), time);
  });
}

const NO_TIMES = [
  ...['', 'yesterday', '2026', '2026-01', '2026-1-1', '31.01.2026', '2026-01-31T', '2026-01-31Z'],
  ...['2026-02-29', '2026-13-01', '2026-00-10', '2026-01-31T24:00', '2026-01-31T12:60'],
  ...['2026-01-31T12:00:60', '2026-01-31T12:00:00+24:00', '2026-01-31T12', '0026-01-31'],
  ...[' 2026-01-31', '2026-01-31 ', '2026-01-31\n', '-2026-01-31', '1769860800'],
];

for (const text of NO_TIMES) {
  test(`when the time is ${JSON.stringify(text)} then it is refused`, () => {
    assert.throws(() => parseLocalTime(text), { code: 'commander.invalidArgument' });
  });
}
