import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import {
  type Channel,
  type DeliverOptions,
  deliver,
  loadEngine,
  openStoreSource,
  rshTransport,
} from '#lvmsync/index.js';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { decodeRecord, encodeJson, encodeRecord, LABEL, TYPE } from '../support/proto4.js';
import { lvmsyncPath } from '../support/repository.js';
import { createStates } from '../support/states.js';
import { createStoreFixture, sameContent } from '../support/store-fixture.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();
const state = join(directory, 'state');
process.env.LVMSYNC_STATE_DIR = state;
const states = createStates(1, 1_000_000 - (1_000_000 % 512), 3);
const [before, after] = [states.images[0]!, states.images[1]!];
const fixture = createStoreFixture(directory, { seed: 1 });
const { engine } = loadEngine('js', {});
const RECEIVE = ['--apply', '-', '--protocol', '4', '--transactional', '--hold'];
const COMMIT = encodeRecord(TYPE.commit, []);

beforeEach(() => rmSync(state, { recursive: true, force: true }));

const holds = sameContent;
const leftOver = () => (existsSync(state) ? readdirSync(state).filter(isSpool) : []);
const isSpool = (name: string) => name.includes('.spool');

/** A receiver that has been sent a whole delta, and has said that it is prepared. */
async function prepared(target: string, ...options: string[]) {
  const args = [lvmsyncPath, ...RECEIVE, ...options, target];
  const child = spawn(process.execPath, args);
  child.stdin.on('error', () => {});
  child.stdin.write(states.delta(1));
  const answers = readAnswers(child);
  await answers.until(TYPE.prepared);
  return { child, answers };
}

function readAnswers(child: ChildProcessWithoutNullStreams) {
  let bytes = Buffer.alloc(0);
  child.stdout.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
  });
  const ended = once(child, 'close');
  const types = () => wholeRecords(bytes).map((record) => decodeRecord(record).type);
  return {
    types: () => types().filter((type) => type !== TYPE.alive),
    async until(type: number): Promise<void> {
      while (!types().includes(type)) {
        const [status] = await Promise.race([once(child.stdout, 'data'), ended]);
        assert.ok(typeof status === 'object', `it ended before a record of type ${type}`);
      }
    },
    /** The exit status. */
    async end(): Promise<number | null> {
      const [status] = await ended;
      return status;
    },
  };
}

function wholeRecords(stream: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = LABEL.length; at + 32 <= stream.length; ) {
    const bytes = 32 + stream.readUInt16BE(at + 2) * 8 + stream.readUInt32BE(at + 4);
    if (at + bytes > stream.length) break;
    records.push(stream.subarray(at, at + bytes));
    at += bytes;
  }
  return records;
}

test('when the sender commits, then the receiver applies what it has, and not before', async () => {
  const target = fixture.target('committed', before);
  const { child, answers } = await prepared(target);
  assert.ok(holds(target, before));
  child.stdin.write(encodeRecord(TYPE.alive, []));
  child.stdin.end(COMMIT);
  assert.equal(await answers.end(), 0);
  assert.deepEqual(answers.types(), [TYPE.hello, TYPE.accept, TYPE.prepared, TYPE.receipt]);
  assert.ok(holds(target, after));
  assert.deepEqual(leftOver(), []);
});

const REFUSAL = encodeJson(TYPE.refuse, {
  code: 'INTERRUPTED',
  message: 'the others are not ready',
});
const ABANDONED: [string, Buffer, number][] = [
  ['ends its stream', Buffer.alloc(0), 7],
  ['refuses', REFUSAL, 8],
  ['sends more data', encodeRecord(TYPE.data, [[0, 512]], Buffer.alloc(512)), 7],
  ['sends half a record', COMMIT.subarray(0, 20), 7],
];
for (const [what, bytes, status] of ABANDONED) {
  test(`when the sender ${what} instead, then the target stays, and no spool is left`, async () => {
    const target = fixture.target('abandoned', before);
    const { child, answers } = await prepared(target);
    child.stdin.end(bytes);
    assert.equal(await answers.end(), status);
    assert.ok(holds(target, before));
    assert.deepEqual(leftOver(), []);
  });
}

test('when the sender says nothing any more, then the receiver gives it up, and the target stays', async () => {
  const target = fixture.target('stalled', before);
  const { child, answers } = await prepared(target, '--timeout', '3');
  assert.equal(await answers.end(), 4);
  assert.ok(holds(target, before));
  assert.deepEqual(leftOver(), []);
  child.stdin.destroy();
});

test('when the receiver is killed between PREPARED and COMMIT, then the target stays, with its history', async () => {
  const target = fixture.target('killed', before);
  const first = ['--keep', '2', '--state-after', states.times[0]!];
  const receive = ['--apply', '-', '--protocol', '4'];
  await lvmsyncOk([...receive, ...first, target], { input: states.full(0) });
  const { child, answers } = await prepared(target, ...states.words(1, 2));
  child.kill('SIGKILL');
  await answers.end();
  assert.ok(holds(target, before));
  assert.equal(leftOver().length, 1);
  const listed = await lvmsyncOk(['rollback', '--list', target]);
  assert.equal(listed.stdout.toString(), `${states.times[0]} held\n`);
  const again = await prepared(target, ...states.words(1, 2));
  again.child.stdin.end(COMMIT);
  assert.equal(await again.answers.end(), 0);
  assert.ok(holds(target, after));
  await lvmsyncOk(['rollback', '--to', states.times[0]!, target]);
  assert.ok(holds(target, before));
  assert.deepEqual(leftOver(), []);
});

test('when --hold is given without what it needs, then it is an error', async () => {
  const target = fixture.target('alone', before);
  const words = ['--apply', '-', '--hold', target];
  await lvmsyncFails(words, 2, /only a sender that speaks PROTO\[4\]/, { input: states.delta(1) });
  await lvmsyncFails([...words, '-v', '--protocol', '4'], 2, /--hold needs --transactional/);
  await lvmsyncFails(
    [...fixture.source, target, '--transactional', '--hold'],
    2,
    /are for a receiver/,
  );
  assert.ok(holds(target, before));
});

interface Delivery {
  options: Partial<DeliverOptions>;
  /** What is said to the receiver beside its target. */
  words?: string[];
  onChannel?: (channel: Channel) => void;
}

/** What a sender does, with a receiver of its own process. */
async function send(target: string, { options, words = RECEIVE, onChannel }: Delivery) {
  const transport = rshTransport({ command: fixture.rsh(), host: 'receiver' });
  const [, storePath = '', , dataPath = ''] = fixture.source;
  const source = await openStoreSource({ storePath, dataPath, engine });
  try {
    return await deliver({
      source,
      engine,
      version: 'test',
      base: 'sample',
      command: 'lvmsync',
      protocol: 4,
      timeoutMs: 60_000,
      retries: 0,
      onStderr: () => {},
      async open(_protocol, onStderr) {
        const channel = await transport.open(['lvmsync', ...words, target], onStderr);
        onChannel?.(channel);
        return channel;
      },
      ...options,
    });
  } finally {
    await source.close();
    await transport.close();
  }
}

test('when a group of senders holds, then all of their targets become new once each is prepared', async () => {
  const targets = ['one', 'two', 'three'].map((name) => fixture.target(name, fixture.base));
  let waiting = 0;
  let release = () => {};
  const allPrepared = new Promise<void>((resolve) => {
    release = resolve;
  });
  const hold = () => {
    assert.ok(targets.every((target) => holds(target, fixture.base)));
    if (++waiting === targets.length) release();
    return allPrepared;
  };
  await Promise.all(targets.map((target) => send(target, { options: { hold } })));
  for (const target of targets) assert.ok(holds(target, fixture.origin));
});

test('when the sender gives up while it holds, then the target stays, and it is not tried again', async () => {
  const target = fixture.target('given-up', fixture.base);
  let times = 0;
  const hold = async () => {
    times++;
    // What may pass on a connection of its own is no reason to try this one again.
    throw Object.assign(new Error('another of the group is gone'), { code: 'CONNECTION_LOST' });
  };
  await assert.rejects(send(target, { options: { hold, retries: 3 } }), {
    code: 'INTERRUPTED',
    message: /another of the group is gone/,
  });
  assert.equal(times, 1);
  assert.ok(holds(target, fixture.base));
  assert.deepEqual(leftOver(), []);
});

test('when the connection breaks while the sender holds, then it is made again, and held again', async () => {
  const target = fixture.target('broken', fixture.base);
  const channels: Channel[] = [];
  const hold = async () => {
    if (channels.length > 1) return;
    channels[0]!.destroy();
    await new Promise(() => {}); // the others are not ready
  };
  const onChannel = (channel: Channel) => channels.push(channel);
  await send(target, { options: { hold, retries: 5 }, onChannel });
  assert.ok(channels.length > 1);
  assert.ok(holds(target, fixture.origin));
});

test('when the sender holds for longer than a timeout, then both ends keep each other alive', async () => {
  const target = fixture.target('patient', fixture.base);
  let channel: Channel | undefined;
  let beats = 0;
  const hold = async () => {
    // Nothing but ALIVE is sent now: after four of them a whole timeout has passed.
    const { input } = channel!;
    const write = input.write.bind(input) as (...args: unknown[]) => boolean;
    await new Promise<void>((resolve) => {
      input.write = (...args: unknown[]) => {
        if (++beats === 4) resolve();
        return write(...args);
      };
    });
  };
  const onChannel = (opened: Channel) => {
    channel = opened;
  };
  const words = [...RECEIVE, '--timeout', '4'];
  await send(target, { options: { hold, timeoutMs: 4000 }, words, onChannel });
  assert.ok(holds(target, fixture.origin));
});

test('when the receiver does not wait, then the sender that would hold fails, and the target stays', async () => {
  const target = fixture.target('impatient', fixture.base);
  const words = ['--apply', '-', '--protocol', '4'];
  const hold = () => Promise.resolve();
  await assert.rejects(send(target, { options: { hold }, words }), {
    code: 'REMOTE_FAILED',
    message: /cannot wait for the others/,
  });
  assert.ok(holds(target, fixture.base));
});
