import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LvmsyncError } from '#lvmsync/errors.js';
import {
  formatMigrationState,
  type MigrationState,
  parseMigrationState,
} from '#lvmsync/send/migration-state.js';
import { createRandom } from '../../support/random.js';

const STATE: MigrationState = {
  id: '0123abcd',
  origin: {
    name: 'vg/da-ta.1',
    vgUuid: 'FhwLzS-Fu1b-cvHA-F9r9-zNHc-3vqC-NlozQO',
    lvUuid: 'YyZ8DC-mvQK-w0op-6b31-XOsd-FJvY-G4u4vN',
  },
  destination: 'root@[::1]:/dev/vg/data',
  begunAt: 1_795_300_092,
  snapshotCount: 3,
  snapshots: ['data_lvmsync_0123abcd_2', 'data_lvmsync_0123abcd_3'],
  held: 'data_lvmsync_0123abcd_2',
  copied: true,
  begun: true,
  rounds: 1,
  bytesPerSecond: 1e7,
  overflows: 0,
  delivered: undefined,
};

function parse(text: string): MigrationState {
  return parseMigrationState(text, '/state');
}

function assertUnusable(text: string): void {
  assert.throws(
    () => parse(text),
    (error) => error instanceof LvmsyncError && error.code === 'STATE_UNUSABLE',
    text,
  );
}

test('when a state is written then it is read as it was', () => {
  assert.deepEqual(parse(formatMigrationState(STATE)), STATE);
  const fresh = { ...STATE, snapshots: [], held: undefined, bytesPerSecond: undefined };
  assert.deepEqual(parse(formatMigrationState(fresh)), fresh);
  const ended = { ...STATE, delivered: { at: 7, changes: '0123456789abcdef' } };
  assert.deepEqual(parse(formatMigrationState(ended)), ended);
});

test('when a field is missing or wrong then the state is refused', () => {
  const fields = JSON.parse(formatMigrationState(STATE));
  const optional = new Set(['held', 'bytesPerSecond', 'delivered']);
  for (const name of Object.keys(fields)) {
    if (!optional.has(name)) assertUnusable(JSON.stringify({ ...fields, [name]: undefined }));
    assertUnusable(JSON.stringify({ ...fields, [name]: [[]] }));
    assertUnusable(JSON.stringify({ ...fields, [name]: null }));
  }
  const wrong = [
    { version: 2 },
    { id: '../../etc' },
    { snapshots: ['a/b'] },
    { snapshots: ['-f'] },
    { snapshots: Array.from({ length: 65 }, (_, i) => `s${i}`), held: 's1' },
    { held: 'another' },
    { rounds: -1 },
    { rounds: 1.5 },
    { bytesPerSecond: 0 },
    { delivered: { at: 1, changes: 'x' } },
    { origin: { ...STATE.origin, lvUuid: '' } },
    { origin: { ...STATE.origin, name: 'a b' } },
    { destination: 'x'.repeat(5000) },
  ];
  for (const change of wrong) assertUnusable(JSON.stringify({ ...fields, ...change }));
  for (const text of ['', 'null', '[]', '{}', '7', ' '.repeat(70_000)]) assertUnusable(text);
});

test('when a state is cut anywhere then it is refused', () => {
  const text = formatMigrationState(STATE).trimEnd();
  for (let length = 0; length < text.length; length++) assertUnusable(text.slice(0, length));
});

test('when bytes of a state are changed then it is refused, or is a state all the same', () => {
  const random = createRandom(1);
  const text = formatMigrationState(STATE);
  for (let i = 0; i < 5000; i++) {
    const bytes = Buffer.from(text);
    bytes[random.below(bytes.length)] = random.below(256);
    try {
      parse(bytes.toString());
    } catch (error) {
      assert.ok(error instanceof LvmsyncError, String(error));
    }
  }
});
