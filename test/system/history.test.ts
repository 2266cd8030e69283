import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { bytesOf, lvmsyncKilled } from '../support/interrupt.js';
import { lvmsync, lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { decodeRecord, splitStream, TYPE } from '../support/proto4.js';
import { createRandom } from '../support/random.js';
import { lvmsyncPath } from '../support/repository.js';
import { createStates } from '../support/states.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const SIZE_BYTES = 3_000_320; // the last block is a partial one
const CYCLES = 10;
const directory = temporaryDirectory();
const state = join(directory, 'state');
process.env.LVMSYNC_STATE_DIR = state;
const states = createStates(1, SIZE_BYTES, CYCLES + 1);
const { images, times, words } = states;
const target = join(directory, 'target');
const RECEIVE = ['--apply', '-', '--protocol', '4'];
const FIRST_RUN = ['--keep', '3', '--state-after', times[0]!];

beforeEach(() => {
  rmSync(state, { recursive: true, force: true });
  writeFileSync(target, Buffer.alloc(SIZE_BYTES));
});

const receive = (stream: Buffer, ...options: string[]) =>
  lvmsyncOk([...RECEIVE, ...options, target], { input: stream });
const refused = (stream: Buffer, message: RegExp, ...options: string[]) =>
  refusedWith(3, 'REPLICA_STATE', stream, message, ...options);

/** The sender is told, which shows it; the target is as it was. */
async function refusedWith(
  status: number,
  code: string,
  stream: Buffer,
  message: RegExp,
  ...options: string[]
): Promise<void> {
  const held = readFileSync(target);
  const result = await lvmsync([...RECEIVE, ...options, target], { input: stream });
  assert.equal(result.status, status, result.stderr);
  const last = decodeRecord(splitStream(result.stdout).at(-1)!);
  assert.equal(last.type, TYPE.refuse);
  const refusal = JSON.parse(last.payload.toString());
  assert.equal(refusal.code, code);
  assert.match(refusal.message, message);
  assert.ok(holds(held));
}

const holds = (image: Buffer | undefined) =>
  image !== undefined && readFileSync(target).equals(image);

async function listed(): Promise<string[]> {
  const { stdout } = await lvmsyncOk(['rollback', '--list', target]);
  return stdout.toString().split('\n').slice(0, -1);
}

function historyFiles(): string[] {
  const name = existsSync(state)
    ? readdirSync(state).find((file) => file.endsWith('.history'))
    : '';
  return name ? readdirSync(join(state, name)).map((file) => join(state, name, file)) : [];
}

const isSnapback = (path: string) => path.endsWith('.undo');

/** States 0 to `last`, run by run. */
async function replicate(last: number, keep: number, ...options: string[]): Promise<void> {
  await receive(states.full(0), ...FIRST_RUN);
  for (let next = 1; next <= last; next++) {
    await receive(states.delta(next), ...words(next, keep), ...options);
  }
}

for (const { cycles, chosen, options } of [
  { cycles: CYCLES, chosen: [8, 5, 0], options: [] },
  { cycles: 4, chosen: [3, 0], options: ['--transactional'] },
]) {
  test(`when ${cycles} runs ${options.join()} are kept, then the target rolls back to any of their states`, async () => {
    await replicate(cycles, cycles, ...options);
    assert.ok(holds(images[cycles]));
    assert.deepEqual(await listed(), [...times.slice(0, cycles), `${times[cycles]} held`]);
    for (const wanted of chosen) {
      const { stderr } = await lvmsyncOk(['rollback', '--to', times[wanted]!, target]);
      assert.match(
        stderr,
        new RegExp(`^Restored \\d+ bytes: .* the state of ${times[wanted]}; flushed`),
      );
      assert.ok(holds(images[wanted]), `state ${wanted}`);
      assert.deepEqual(await listed(), [...times.slice(0, wanted), `${times[wanted]} held`]);
      assert.equal(historyFiles().filter(isSnapback).length, wanted);
    }
    // What the sender takes it to hold is not what it holds.
    await refused(
      states.delta(9),
      /holds the state of 2026-01-01.* takes it to hold that of 2026-01-09/,
      ...words(9, 3),
    );
    await receive(states.delta(1), ...words(1, 3), ...options);
    assert.ok(holds(images[1]));
  });
}

test('when more runs are made than are kept, then the oldest snapbacks are removed', async () => {
  await replicate(5, 3);
  assert.deepEqual(await listed(), [...times.slice(2, 5), `${times[5]} held`]);
  assert.equal(historyFiles().filter(isSnapback).length, 3);
  await lvmsyncFails(['rollback', '--to', times[1]!, target], 3, /no state that old.*2026-01-03/);
  await receive(states.delta(6), ...words(6, 1));
  assert.deepEqual(await listed(), [times[5], `${times[6]} held`]);
  await receive(states.delta(7), ...words(7, 0));
  assert.deepEqual(await listed(), [`${times[7]} held`]);
  assert.deepEqual(historyFiles().filter(isSnapback), []);
  assert.ok(holds(images[7]));
});

test('when a time between two states is asked for, then it is the older of them, whatever its zone', async () => {
  await replicate(4, 4);
  const before = await listed();
  const plan = await lvmsyncOk(['rollback', '--dry-run', '--to', times[1]!, target]);
  assert.match(plan.stderr, new RegExp(`^Would take .* back to the state of ${times[1]}\n`));
  assert.ok(holds(images[4]));
  assert.deepEqual(await listed(), before);
  await lvmsyncFails(['rollback', '-n', '--to', '2020-01-01', target], 3, /no state that old/);
  const env = { TZ: 'Asia/Tokyo' };
  // Noon of the 4th in UTC is nine in the evening there.
  await lvmsyncOk(['rollback', '--to', '2026-01-04 20:59:59', target], { env });
  assert.ok(holds(images[2]));
  await lvmsyncOk(['rollback', '--to', '2026-01-03T13:59:59+02:00', target]);
  assert.ok(holds(images[1]));
  await lvmsyncOk(['rollback', '--to', '2026-01-02', target]);
  assert.ok(holds(images[0]));
  const { stderr } = await lvmsyncOk(['rollback', '--to', '2030-01-01', target]);
  assert.match(stderr, /^Restored 0 bytes/);
  await lvmsyncFails(['rollback', '--to', '2026-02-30', target], 2, /It is a time like/);
  await lvmsyncFails(['rollback', '--to', times[0]!, '--list', target], 2, /cannot be used with/);
  await lvmsyncFails(['rollback', '--list', target, target], 2, /one target is needed/);
  await lvmsyncFails(['rollback', target], 2, /a snapback and a target/);
});

test('when the sender takes the target to hold another state, then it is refused, naming both', async () => {
  await refused(states.delta(1), /nothing is known of what/, ...words(1, 3));
  await replicate(2, 3);
  const other = /holds the state of 2026-01-03T.* that of 2026-01-01T/;
  await refused(states.delta(4), other, ...words(4, 3, times[0]));
  await refused(states.delta(4), other, '--transactional', ...words(4, 3, times[0]));
  await refused(states.delta(1), /later than that of this run/, ...words(1, 3, times[2]));
  await refused(states.delta(1), /later than that of this run/, ...words(1, 3, 'any'));
  assert.deepEqual(await listed(), [times[0], times[1], `${times[2]} held`]);
  // A run whose receipt was lost is repeated.
  await receive(states.delta(2), ...words(2, 3));
  assert.deepEqual(await listed(), [times[0], times[1], `${times[2]} held`]);
  // The sender has compared.
  await receive(states.full(5), ...words(5, 3, 'any'));
  assert.ok(holds(images[5]));
  assert.deepEqual(await listed(), [times[0], times[1], times[2], `${times[5]} held`]);
  await lvmsyncOk(['rollback', '--to', times[2]!, target]);
  assert.ok(holds(images[2]));
});

test('when all is sent anew, or the target is written to by itself, then the history ends', async () => {
  await replicate(2, 3);
  await receive(states.full(4), '--keep', '3', '--state-after', times[4]!);
  assert.deepEqual(await listed(), [`${times[4]} held`]);
  await receive(states.delta(5), ...words(5, 3));
  const [snapback = ''] = historyFiles().filter(isSnapback);
  await lvmsyncFails(['rollback', snapback, target], 2, /a part of the history.*\n.*rollback --to/);
  await lvmsyncFails(['--apply', snapback, target], 2, /a part of the history/);
  const undo = join(directory, 'undo');
  const { stderr } = await receive(states.delta(6), '--snapback', undo);
  assert.match(stderr, /its history ends here/);
  assert.ok(holds(images[6]));
  await lvmsyncFails(['rollback', '--list', target], 3, /nothing is known/);
  assert.deepEqual(historyFiles(), []);
  await lvmsyncOk(['rollback', undo, target]);
  assert.ok(holds(images[5]));
});

test('when a run writes nothing, then its state is one of the history all the same', async () => {
  await replicate(1, 3);
  await receive(states.delta(0), ...words(3, 3, times[1]));
  assert.deepEqual(await listed(), [times[0], times[1], `${times[3]} held`]);
});

test('when a run ended but for saying so in the manifest, then it counts, and what no manifest names is removed', async () => {
  await replicate(2, 3);
  const manifest = historyFiles().find((path) => path.endsWith('.json')) ?? '';
  const { version, snapbacks } = JSON.parse(readFileSync(manifest, 'utf8'));
  const [first, { file }] = snapbacks;
  // Between the last write to its snapback and the next one to the manifest.
  const run = { from: times[1], to: times[2], file };
  const before = JSON.stringify({ version, snapbacks: [first], run });
  writeFileSync(manifest, before);
  const { stdout, stderr } = await lvmsyncOk(['rollback', '--list', target]);
  assert.equal(stdout.toString(), `${times[0]}\n${times[1]}\n`);
  assert.match(
    stderr,
    /an interrupted run between the state of 2026-01-02T.* and that of 2026-01-03T/,
  );
  // Between the first write to a snapback and the one to the manifest.
  writeFileSync(join(manifest, '..', '7.undo'), 'lvmsync');
  await receive(states.delta(3), ...words(3, 3));
  assert.deepEqual(await listed(), [...times.slice(0, 3), `${times[3]} held`]);
  assert.equal(historyFiles().filter(isSnapback).length, 3);
  for (const chosen of [2, 1, 0]) {
    await lvmsyncOk(['rollback', '--to', times[chosen]!, target]);
    assert.ok(holds(images[chosen]));
  }
});

test('when a run without a snapback was cut, then only the same or a compared one goes on, and nothing leads back', async () => {
  for (const before of [times[2]!, 'any']) {
    await replicate(2, 3);
    const options = ['--keep', '0', ...words(3, 0).slice(2)];
    const cut = states.delta(3).subarray(0, -300);
    await lvmsyncFails([...RECEIVE, '-v', ...options, target], 7, /ends/, { input: cut });
    await refused(
      states.delta(4),
      /between the state of .*03T.* and that of .*04T.* that of .*03T/,
      ...words(4, 3, times[2]),
    );
    await lvmsyncFails(['rollback', '--to', times[2]!, target], 3, /no snapback that leads back/);
    await receive(before === 'any' ? states.full(3) : states.delta(3), ...words(3, 3, before));
    assert.ok(holds(images[3]));
    assert.deepEqual(await listed(), [`${times[3]} held`]);
  }
});

test('when the history cannot be read, then runs are refused, and a full one begins a new one', async () => {
  await replicate(2, 3);
  const manifest = historyFiles().find((path) => path.endsWith('.json')) ?? '';
  writeFileSync(manifest, '{"version":2}');
  const unusable = /cannot be used: its version is 2/;
  await refusedWith(3, 'STATE_UNUSABLE', states.delta(3), unusable, ...words(3, 3));
  await lvmsyncFails(['rollback', '--to', times[0]!, target], 3, unusable);
  await receive(states.full(3), '--keep', '3', '--state-after', times[3]!);
  assert.deepEqual(await listed(), [`${times[3]} held`]);
});

/**
 * Kills the receiver of a run so many milliseconds after it is time; its status, null when it was killed before its end.
 * With a part of the stream it waits for the rest until then.
 */
async function receiverKilled(
  stream: Buffer,
  isWhole: boolean,
  options: string[],
  isTime: () => boolean,
  milliseconds: number,
): Promise<number | null> {
  const args = [lvmsyncPath, ...RECEIVE, '--engine', 'js', ...options, target];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'ignore', 'ignore'] });
  const ended = once(child, 'exit');
  child.stdin.on('error', () => {});
  if (isWhole) child.stdin.end(stream);
  else child.stdin.write(stream);
  while (child.exitCode === null && child.signalCode === null && !isTime()) await delay(1);
  await delay(milliseconds);
  child.kill('SIGKILL');
  const [status] = await ended;
  return status;
}

test('when the receiver is killed anywhere, then the same run again, another run, or a rollback ends right', async () => {
  const random = createRandom(2);
  await replicate(2, 5);
  let cut = 0;
  let takenBack = 0;
  let held = 2;
  for (let round = 0; round < 20; round++) {
    const next = held + 1;
    const options = words(next, 5, times[held]);
    const isWhole = random.chance(0.5);
    if (isWhole && random.chance(0.5)) options.push('--transactional');
    const stream = states.delta(next);
    const sent = isWhole
      ? stream
      : stream.subarray(0, stream.length * (0.3 + random.below(7) / 10));
    // So much is saved of a part of the stream too.
    const threshold = 300 + random.below(isWhole ? stream.length : stream.length / 20);
    const before = new Set(historyFiles());
    const isNew = () =>
      historyFiles().some(
        (path) => isSnapback(path) && !before.has(path) && bytesOf(path) >= threshold,
      );
    const status = await receiverKilled(sent, isWhole, options, isNew, random.below(40));
    if (status === null) cut++;
    const way = round % 4;
    if (way === 0) {
      await receive(states.delta(next), ...options);
      held = next;
    } else if (way === 1) {
      // The interrupted run may have come to its end without having said so.
      await lvmsyncOk(['rollback', '--to', times[held]!, target]);
    } else if (way === 2) {
      // Other changes since the same state: what was interrupted is taken back first.
      const other = states.branch(held);
      const from = ['--keep', '5', '--state-after', other.time, '--state-before', times[held]!];
      const again = await lvmsync([...RECEIVE, ...from, target], { input: other.delta });
      if (again.status === 0) {
        takenBack++;
        assert.ok(holds(other.image), `round ${round}, another state`);
        await lvmsyncOk(['rollback', '--to', times[held]!, target]);
      } else {
        // It had come to its end, but for saying so.
        assert.match(again.stdout.toString('latin1'), /REPLICA_STATE/);
        held = next;
      }
    } else {
      await receive(states.full(next), ...words(next, 5, 'any'));
      held = next;
    }
    assert.ok(holds(images[held]), `round ${round}`);
    assert.equal((await listed()).at(-1), `${times[held]} held`);
    assert.equal(historyFiles().filter(isSnapback).length, (await listed()).length - 1);
    // Back to where there is room for the next rounds, over every state on the way.
    const older = (await listed()).slice(0, -1);
    if (held > 6 || round === 19) {
      for (const time of older.reverse().slice(0, round === 19 ? 9 : 4)) {
        await lvmsyncOk(['rollback', '--to', time, target]);
        held = times.indexOf(time);
        assert.ok(holds(images[held]), `round ${round}, back to ${time}`);
      }
    }
  }
  assert.ok(cut > 5, `${cut} runs were killed before their end`);
  assert.ok(takenBack > 0, 'no interrupted run was taken back');
});

test('when a rollback to a state is killed, then the same again, or a run, ends right', async () => {
  const random = createRandom(3);
  await replicate(6, 6);
  const whole = readHistory();
  for (let round = 0; round < 8; round++) {
    writeHistory(whole);
    writeFileSync(target, images[6]!);
    const chosen = random.below(5);
    const offset = random.below(SIZE_BYTES);
    const changed = random.pick([4, 5]);
    const isTime = () => {
      const bytes = readFileSync(target).subarray(offset);
      return (
        bytes.equals(images[changed]!.subarray(offset)) ||
        !bytes.equals(images[6]!.subarray(offset))
      );
    };
    const status = await lvmsyncKilled(
      ['rollback', '--engine', 'js', '--to', times[chosen]!, target],
      isTime,
    );
    const unfinished = await lvmsyncOk(['rollback', '--list', target]);
    if (round % 2 === 0 || status === 0) {
      await lvmsyncOk(['rollback', '--to', times[chosen]!, target]);
      assert.ok(holds(images[chosen]), `round ${round}`);
      continue;
    }
    // Whatever the rollback has reached, the sender cannot take it for the newest state.
    const untouched = holds(images[6]) && unfinished.stderr === '';
    if (!untouched) await refused(states.delta(7), /takes it to hold/, ...words(7, 6));
    const [reached = ''] = (await listed()).at(-1)!.split(' ');
    await receive(states.full(7), ...words(7, 6, reached));
    assert.ok(holds(images[7]), `round ${round}`);
    await lvmsyncOk(['rollback', '--to', reached, target]);
    assert.ok(holds(images[times.indexOf(reached)]), `round ${round}, back`);
  }
});

function readHistory(): Map<string, Buffer> {
  return new Map(historyFiles().map((path) => [path, readFileSync(path)]));
}

function writeHistory(files: Map<string, Buffer>): void {
  for (const path of historyFiles()) rmSync(path);
  for (const [path, bytes] of files) writeFileSync(path, bytes);
}
