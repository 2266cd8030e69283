import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LvmsyncError } from '#lvmsync/errors.js';
import {
  formatManifest,
  MAX_KEPT,
  type Manifest,
  parseManifest,
  stateTime,
} from '#lvmsync/receive/history-manifest.js';
import { createRandom } from '../../support/random.js';

const [FIRST, SECOND, THIRD] = [1, 2, 3].map((day) => `2026-01-0${day}T12:00:00.000Z`) as [
  string,
  string,
  string,
];
const SNAPBACKS = [
  { file: '4.undo', backTo: FIRST },
  { file: '7.undo', backTo: SECOND },
];
const SETTLED: Manifest = { holds: THIRD, snapbacks: SNAPBACKS, run: undefined };
const UNFINISHED: Manifest = {
  holds: undefined,
  snapbacks: SNAPBACKS,
  run: { from: THIRD, to: '2026-01-04T12:00:00.000Z', file: '8.undo' },
};

function assertUnusable(text: string): void {
  assert.throws(
    () => parseManifest(text, '/state'),
    (error) => error instanceof LvmsyncError && error.code === 'STATE_UNUSABLE',
    text,
  );
}

test('when a manifest is written then it is read as it was', () => {
  const manifests: Manifest[] = [
    SETTLED,
    UNFINISHED,
    { ...UNFINISHED, run: { from: THIRD, to: undefined, file: '8.undo' } },
    { holds: undefined, snapbacks: [], run: { from: undefined, to: FIRST, file: undefined } },
    { holds: undefined, snapbacks: [], run: { from: FIRST, to: SECOND, file: undefined } },
    { holds: FIRST, snapbacks: [], run: undefined },
  ];
  for (const manifest of manifests) {
    assert.deepEqual(parseManifest(formatManifest(manifest), '/state'), manifest);
  }
});

test('when there are as many snapbacks as may be kept then the manifest is read, and not with one more', () => {
  const snapbacks = (count: number) =>
    Array.from({ length: count }, (_, i) => ({
      file: `${999_000_000 - i}.undo`,
      backTo: new Date(i * 1000).toISOString(),
    }));
  const full = { ...SETTLED, snapbacks: snapbacks(MAX_KEPT) };
  assert.deepEqual(parseManifest(formatManifest(full), '/state'), full);
  assertUnusable(formatManifest({ ...SETTLED, snapbacks: snapbacks(MAX_KEPT + 1) }));
});

test('when a field is missing or wrong then the manifest is refused', () => {
  const settled = JSON.parse(formatManifest(SETTLED));
  const unfinished = JSON.parse(formatManifest(UNFINISHED));
  for (const fields of [settled, unfinished]) {
    for (const name of Object.keys(fields)) {
      for (const value of [undefined, null, 7, [[]], {}, 'x']) {
        assertUnusable(JSON.stringify({ ...fields, [name]: value }));
      }
    }
  }
  const [first, second] = SNAPBACKS;
  const wrong = [
    { version: 2 },
    { holds: '2026-01-03T12:00:00Z' },
    { holds: '2026-02-30T12:00:00.000Z' },
    { holds: SECOND },
    { run: unfinished.run },
    { snapbacks: [second, first] },
    { snapbacks: [first, first] },
    { snapbacks: [first, { ...second, file: first!.file }] },
    { snapbacks: [{ file: '../../etc/passwd', backTo: FIRST }] },
    { snapbacks: [{ file: '0.undo', backTo: FIRST }] },
    { snapbacks: [{ file: '1.undo\n', backTo: FIRST }] },
    { snapbacks: [{ file: '1.undo' }] },
    { snapbacks: [null] },
  ];
  for (const change of wrong) assertUnusable(JSON.stringify({ ...settled, ...change }));
  const wrongRuns = [
    { from: undefined },
    { file: undefined },
    { file: '7.undo' },
    { file: '/dev/sda' },
    { from: SECOND },
    { to: 'soon' },
  ];
  for (const change of wrongRuns) {
    assertUnusable(JSON.stringify({ ...unfinished, run: { ...unfinished.run, ...change } }));
  }
  for (const text of ['', 'null', '[]', '{}', '7', ' '.repeat(300_000)]) assertUnusable(text);
});

test('when a manifest is cut anywhere then it is refused', () => {
  const text = formatManifest(UNFINISHED).trimEnd();
  for (let length = 0; length < text.length; length++) assertUnusable(text.slice(0, length));
});

test('when bytes of a manifest are changed then it is refused, or is a manifest all the same', () => {
  const random = createRandom(1);
  for (let i = 0; i < 5000; i++) {
    const bytes = Buffer.from(formatManifest(random.pick([SETTLED, UNFINISHED])));
    bytes[random.below(bytes.length)] = random.below(256);
    try {
      const { snapbacks, run } = parseManifest(bytes.toString(), '/state');
      for (const file of [...snapbacks.map((snapback) => snapback.file), run?.file ?? '1.undo']) {
        assert.match(file, /^\d+\.undo$/);
      }
    } catch (error) {
      assert.ok(error instanceof LvmsyncError, String(error));
    }
  }
});

test('when a state is named by a time then that has one form only', () => {
  assert.equal(stateTime('2026-01-31T12:00:00Z'), '2026-01-31T12:00:00.000Z');
  assert.equal(stateTime('2026-01-31T12:00:00.5Z'), '2026-01-31T12:00:00.500Z');
  const wrong = [
    ...['', 'any', '2026-01-31', '2026-01-31T12:00:00', '2026-01-31T12:00:00+01:00'],
    ...[
      '2026-02-30T12:00:00Z',
      '2026-13-01T12:00:00Z',
      '2026-01-31T24:00:00Z',
      '2026-01-31T12:00Z',
    ],
    ...['2026-01-31T12:00:00.0000Z', ' 2026-01-31T12:00:00Z', '2026-01-31T12:00:00Z\n'],
  ];
  for (const text of wrong) assert.equal(stateTime(text), undefined, text);
});
