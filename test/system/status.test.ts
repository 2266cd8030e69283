import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { acquireLock } from '#lvmsync/block/lock.js';
import { formatMigrationState } from '#lvmsync/send/migration-state.js';
import { createDelta } from '../support/delta.js';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { lvmsyncPath } from '../support/repository.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();
const delta = createDelta(directory, 1, 6 << 20);
const stream = readFileSync(await delta.stream(4));
let states = 0;

function newState(): string {
  const path = join(directory, `state-${states++}`);
  mkdirSync(path, { mode: 0o700 });
  return path;
}

async function statusOf(state: string) {
  const { stdout } = await lvmsyncOk(['status', '--json', '--state-dir', state]);
  return JSON.parse(stdout.toString());
}

const textOf = async (state: string) =>
  (await lvmsyncOk(['status', '--state-dir', state])).stdout.toString();

/** A receiver that has got the first half of the stream, and waits for the rest. */
async function halfReceived(state: string, suffix: string, args: string[]): Promise<ChildProcess> {
  const child = spawn(
    process.execPath,
    [lvmsyncPath, '--apply', '-', '--protocol', '4', '--state-dir', state, ...args],
    { stdio: ['pipe', 'ignore', 'inherit'] },
  );
  child.stdin.write(stream.subarray(0, stream.length / 2));
  while (!readdirSync(state).some((name) => name.endsWith(suffix))) {
    assert.equal(child.exitCode, null, 'it has ended');
    await delay(5);
  }
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'close');
}

test('when there is nothing, then that is said, and nothing is made', async () => {
  const state = newState();
  const none = join(state, 'none');
  const status = await statusOf(none);
  assert.deepEqual([status.version, status.type, status.stateDirectory], [1, 'status', none]);
  assert.deepEqual([status.migrations, status.transfers, status.spools], [[], [], []]);
  assert.deepEqual(readdirSync(state), []);
});

test('when a transfer is under way or was cut, then its target is named, and whether it is written to', async () => {
  const state = newState();
  const target = delta.target('half');
  const child = await halfReceived(state, '.progress', [target]);
  const [running] = (await statusOf(state)).transfers;
  assert.deepEqual(running.target, { path: target, sizeBytes: 6 << 20 });
  assert.equal(running.running, true);
  await kill(child);
  const [cut] = (await statusOf(state)).transfers;
  assert.deepEqual([cut.target.path, cut.running], [target, false]);
  assert.match(
    await textOf(state),
    /Transfers to this machine .*:\n {2}.*half: durable up to .* goes on from there/,
  );
  // It goes on, and then there is nothing left to tell.
  await lvmsyncOk([...delta.source, target, '--state-dir', state]);
  assert.deepEqual((await statusOf(state)).transfers, []);
});

test('when a transactional run was cut, then its delta is listed, of no use', async () => {
  const state = newState();
  const target = delta.target('spooled');
  const child = await halfReceived(state, '.spool.partial', ['--transactional', target]);
  // The hello may still be on its way into the file.
  while ((await statusOf(state)).spools.length === 0) await delay(5);
  assert.equal((await statusOf(state)).spools[0].running, true);
  await kill(child);
  const [spool] = (await statusOf(state)).spools;
  assert.match(spool.targetId, /^file .*spooled \d+$/);
  assert.deepEqual([spool.complete, spool.running], [false, false]);
  assert.match(await textOf(state), /incomplete: the next run that writes to the target drops it/);
});

test('when a migration is on record, then it is told how far it is, and whether it runs', async () => {
  const state = newState();
  const lvUuid = 'YyZ8DC-mvQK-w0op-6b31-XOsd-FJvY-G4u4vN';
  const text = formatMigrationState({
    id: '0123abcd',
    origin: { name: 'vg/data', vgUuid: 'FhwLzS-Fu1b-cvHA-F9r9-zNHc-3vqC-NlozQO', lvUuid },
    destination: 'backup:/dev/vg/data',
    begunAt: 1_700_000_000,
    snapshotCount: 3,
    snapshots: [],
    held: undefined,
    copied: true,
    begun: true,
    rounds: 2,
    bytesPerSecond: 1e7,
    overflows: 0,
    delivered: undefined,
  });
  writeFileSync(join(state, `${lvUuid}.migration`), text);
  const [migration] = (await statusOf(state)).migrations;
  assert.deepEqual(migration, {
    id: '0123abcd',
    origin: 'vg/data',
    destination: 'backup:/dev/vg/data',
    begunAt: 1_700_000_000,
    copied: true,
    rounds: 2,
    delivered: false,
    running: false,
  });
  assert.match(
    await textOf(state),
    /vg\/data to backup:\/dev\/vg\/data: .*copied, 2 rounds since; NOT RUNNING/,
  );
  const lock = await acquireLock('migration', lvUuid, 'vg/data');
  assert.equal((await statusOf(state)).migrations[0].running, true);
  await lock.release();
});

test('when a target is replicated to, then it is told which state it holds, and how many there are', async () => {
  const state = newState();
  const target = delta.target('replica');
  const times = ['2026-01-30T12:00:00.000Z', '2026-01-31T12:00:00.000Z'];
  const receive = (...words: string[]) =>
    lvmsyncOk(
      [
        ...['--apply', '-', '--protocol', '4', '--state-dir', state, '--keep', '3'],
        ...[...words, target],
      ],
      { input: stream },
    );
  await receive('--state-after', times[0]!);
  await receive('--state-before', times[0]!, '--state-after', times[1]!);
  const [history, ...others] = (await statusOf(state)).histories;
  assert.deepEqual(others, []);
  assert.match(history.targetId, /^file .*replica \d+$/);
  assert.deepEqual([history.holds, history.olderStates], [times[1], 1]);
  assert.match(
    await textOf(state),
    /replicated to:\n {2}file .*replica \d+: holds the state of 2026-01-31T12:00:00\.000Z, .* ago; 1 older state kept/,
  );
});

test('when files in the state directory are not what they should be, then that is told, and the rest too', async () => {
  const state = newState();
  const names = [
    'YyZ8DC-mvQK-w0op-6b31-XOsd-FJvY-G4u4vN.migration',
    `${'0'.repeat(40)}.progress`,
    `${'0'.repeat(40)}.spool`,
  ];
  for (const name of names) writeFileSync(join(state, name), '{"transfer": 7}');
  writeFileSync(join(state, 'something-else'), 'of somebody else');
  const { unreadable } = await statusOf(state);
  assert.deepEqual(
    unreadable.map(({ path }: { path: string }) => path).sort(),
    names.map((name) => join(state, name)).sort(),
  );
  assert.match(await textOf(state), /Files that cannot be read:\n/);
});

test('when others can write to the state directory, then what is in it is not believed', async () => {
  const state = newState();
  chmodSync(state, 0o777);
  await lvmsyncFails(['status', '--state-dir', state], 6, /can be written to by other users/);
});

test('when the state directory cannot be made, then that is said and the target is as it was', async () => {
  const target = delta.target('unmade');
  const before = readFileSync(target);
  const options = ['--transactional', '--state-dir', '/proc/lvmsync/state'];
  const args = ['--apply', delta.path('stream-4'), ...options, target];
  const said = /the state directory \/proc\/lvmsync\/state cannot be made: .*ENOENT/;
  await lvmsyncFails(args, 6, said, { timeoutMs: 60_000 });
  assert.deepEqual(readFileSync(target), before);
});
