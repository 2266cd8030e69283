import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LvmsyncError } from '#lvmsync/errors.js';
import {
  formatReplicaState,
  parseReplicaState,
  type ReplicaMember,
  type ReplicaState,
  replicaId,
  replicaIdsOf,
} from '#lvmsync/send/replica-state.js';
import { createRandom } from '../../support/random.js';

const AT = '2026-01-31T12:00:00.000Z';
const MEMBER: ReplicaMember = {
  origin: {
    name: 'vg/da-ta.1',
    vgUuid: 'FhwLzS-Fu1b-cvHA-F9r9-zNHc-3vqC-NlozQO',
    lvUuid: 'YyZ8DC-mvQK-w0op-6b31-XOsd-FJvY-G4u4vN',
  },
  destination: 'root@[::1]:/dev/vg/data',
  held: { name: 'data_lvmsync_0123abcd_2', at: AT },
  copied: true,
  begun: true,
  overflows: 1,
};
const STATE: ReplicaState = {
  id: '0123abcd',
  members: [MEMBER, { ...MEMBER, held: undefined }],
  snapshotCount: 3,
  next: {
    at: AT,
    names: ['data_lvmsync_0123abcd_3', 'log_lvmsync_0123abcd_3'],
    taken: true,
    decided: false,
  },
};

function parse(text: string): ReplicaState {
  return parseReplicaState(text, '/state');
}

function assertUnusable(text: string): void {
  assert.throws(
    () => parse(text),
    (error) => error instanceof LvmsyncError && error.code === 'STATE_UNUSABLE',
    text,
  );
}

test('when the state of a replica is written then it is read as it was', () => {
  assert.deepEqual(parse(formatReplicaState(STATE)), STATE);
  const idle = { ...STATE, next: undefined };
  assert.deepEqual(parse(formatReplicaState(idle)), idle);
});

test('when a field of it is missing or wrong then it is refused', () => {
  const fields = JSON.parse(formatReplicaState(STATE));
  for (const name of Object.keys(fields)) {
    if (name !== 'next') assertUnusable(JSON.stringify({ ...fields, [name]: undefined }));
    assertUnusable(JSON.stringify({ ...fields, [name]: [[]] }));
    assertUnusable(JSON.stringify({ ...fields, [name]: null }));
  }
  const withMember = (change: object) => ({ members: [{ ...MEMBER, ...change }, MEMBER] });
  const withNext = (change: object) => ({ next: { ...STATE.next, ...change } });
  const wrong = [
    { version: 2 },
    { id: '../../etc' },
    { members: [] },
    { members: Array.from({ length: 65 }, () => MEMBER) },
    withMember({ origin: { ...MEMBER.origin, lvUuid: '' } }),
    withMember({ held: { name: '-f', at: AT } }),
    withMember({ held: { name: 'a', at: '2026-13-31T12:00:00.000Z' } }),
    withMember({ copied: 1 }),
    withMember({ overflows: -1 }),
    withNext({ names: ['a'] }),
    withNext({ names: ['a', 'b/c'] }),
    withNext({ at: 'now' }),
    withNext({ decided: undefined }),
  ];
  for (const change of wrong) assertUnusable(JSON.stringify({ ...fields, ...change }));
  for (const text of ['', 'null', '[]', '{}', '7', ' '.repeat(70_000)]) assertUnusable(text);
});

test('when bytes of it are changed then it is refused, or is a state all the same', () => {
  const random = createRandom(1);
  const text = formatReplicaState(STATE);
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

test('when pairs are named in another order then they are the same replica', () => {
  const pairs = [
    ['a', 'host:/dev/a'],
    ['b', 'host:/dev/b'],
  ] as const;
  assert.equal(replicaId(pairs), replicaId([...pairs].reverse()));
  assert.notEqual(replicaId(pairs), replicaId(pairs.slice(1)));
  assert.notEqual(replicaId([['a', 'b']]), replicaId([['ab', '']]));
  assert.deepEqual(replicaIdsOf(['0123abcd.replica', 'x.replica', '0123abcd.replica.new']), [
    '0123abcd',
  ]);
});
