/** Every way in which changes reach a target, run with a fault and judged. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import {
  type Ended,
  type Fault,
  type RunEnds,
  runOverRsh,
  runPiped,
  startLvmsync,
} from './link.js';
import { appendRow, assertRow, type Row } from './matrix.js';
import { lookAtTarget, type Scene } from './scene.js';

export interface Kind {
  name: string;
  way: 'local' | 'rsh' | 'pipe' | 'file';
  protocol: 3 | 4;
  snapback?: true;
  transactional?: true;
}

export function kind(
  way: Kind['way'],
  protocol: Kind['protocol'],
  extra?: 'snapback' | 'transactional',
): Kind {
  const name = extra === undefined ? `${way}-${protocol}` : `${way}-${protocol}-${extra}`;
  return { name, way, protocol, ...(extra && { [extra]: true }) };
}

export interface RunOptions {
  fault?: Fault;
  /** For the file kinds: what is done to the stored stream. */
  mangle?: ((stream: Buffer) => Buffer) | undefined;
  /** More options for the sender, or for the receiver where there is no sender. */
  options?: readonly string[];
  /** More options for the receiver, where it is started by hand. */
  receiverOptions?: readonly string[];
  snapbackPath?: string | undefined;
}

/** Runs one transfer of the scene's changes to a target. */
export async function runKind(
  scene: Scene,
  { way, protocol, transactional }: Kind,
  targetPath: string,
  run: RunOptions = {},
): Promise<RunEnds> {
  const { fault = {}, receiverOptions = [], snapbackPath } = run;
  const options = [...(run.options ?? []), ...(transactional ? ['--transactional'] : [])];
  const changes = changesOf(scene);
  const snapback = snapbackPath === undefined ? [] : ['--snapback', snapbackPath];
  const proto = ['--protocol', String(protocol)];
  switch (way) {
    case 'local': {
      const args = [...options, ...proto, ...changes, ...snapback, targetPath];
      return { sender: await startLvmsync(args).ended, receiver: undefined };
    }
    case 'rsh': {
      const args = ['--retries', '0', ...options, ...proto, ...changes, ...snapback];
      args.push(`far:${targetPath}`);
      return runOverRsh(scene.directory, args, fault);
    }
    case 'pipe': {
      const receiver = [...receiverOptions, ...snapback, '--apply', '-', targetPath];
      return runPiped([...options, ...proto, ...changes, '--stdout'], receiver, fault);
    }
    case 'file': {
      const path = scene.freshPath('stream');
      const stream = await storedStream(scene, protocol);
      writeFileSync(path, run.mangle?.(stream) ?? stream);
      const args = [...options, ...snapback, '--apply', path, targetPath];
      return { sender: undefined, receiver: await startLvmsync(args).ended };
    }
  }
}

const streams = new WeakMap<Scene, Map<number, Promise<Buffer>>>();

/** The scene's changes as `--stdout` writes them; made once. */
export function storedStream(scene: Scene, protocol: 3 | 4): Promise<Buffer> {
  const ofScene = streams.get(scene) ?? new Map<number, Promise<Buffer>>();
  streams.set(scene, ofScene);
  const stream = ofScene.get(protocol) ?? makeStream(scene, protocol);
  ofScene.set(protocol, stream);
  return stream;
}

export function changesOf(scene: Scene): string[] {
  return ['--cow-device', scene.storePath, '--data-source', scene.originPath];
}

async function makeStream(scene: Scene, protocol: 3 | 4): Promise<Buffer> {
  const changes = changesOf(scene);
  const sender = startLvmsync([...changes, '--stdout', '--protocol', String(protocol)]);
  const bytes: Buffer[] = [];
  sender.child.stdout?.on('data', (data: Buffer) => bytes.push(data));
  const { status, stderr } = await sender.ended;
  assert.equal(status, 0, stderr);
  return Buffer.concat(bytes);
}

export interface Expectation {
  /** Allowed statuses of the sender, where it fails; null stands for a signal. */
  sender?: readonly (number | null)[];
  receiver?: readonly (number | null)[];
  /** Must be in what one of the ends printed, when the run did not succeed. */
  message?: RegExp;
  /** Allowed states of the target, when the run did not succeed. */
  target?: readonly string[];
  /** The run must succeed. */
  succeeds?: true;
  /** Why this protocol cannot notice the fault: wrong targets are then listed, not refused. */
  undetectable?: string;
}

/** Runs a fault, judges and records what came of it, and has a second run heal it. */
export async function tryFault(
  scene: Scene,
  kind: Kind,
  fault: string,
  run: RunOptions,
  expected: Expectation,
): Promise<Row> {
  const target = scene.createTarget();
  const snapbackPath = kind.snapback && scene.freshPath('snapback');
  const ends = await runKind(scene, kind, target, { ...run, snapbackPath });
  const { state, lostSectors, strangeSectors } = lookAtTarget(scene, target);
  const succeeded = claimsSuccess(ends);
  const wrong = (succeeded && state !== 'new') || lostSectors > 0 || strangeSectors > 0;
  const undetectable = expected.undetectable !== undefined && wrong;
  if (snapbackPath !== undefined && !succeeded) await assertRestores(scene, target, snapbackPath);
  const healed = undetectable ? undefined : await heals(scene, kind, target);
  const row: Row = {
    kind: kind.name,
    fault,
    outcome: undetectable
      ? 'undetectable'
      : succeeded
        ? 'succeeded'
        : state === 'base'
          ? 'refused'
          : 'failed',
    exits: [ends.sender, ends.receiver].flatMap((end) =>
      end ? [end.status ?? `${end.signal}`] : [],
    ),
    message: firstMessage(ends),
    target: state,
    healed,
    falseSuccess: !undetectable && succeeded && state !== 'new',
    lostData: !undetectable && (lostSectors > 0 || strangeSectors > 0),
  };
  appendRow(row);
  assertRow(row);
  assertExpected(row, ends, expected, succeeded);
  return row;
}

/** Every process that took part ended with 0: what `set -o pipefail` makes of a pipe. */
export function claimsSuccess({ sender, receiver }: RunEnds): boolean {
  return (
    (sender?.status ?? 0) === 0 &&
    (receiver?.status ?? 0) === 0 &&
    !sender?.signal &&
    !receiver?.signal
  );
}

async function heals(scene: Scene, kind: Kind, target: string): Promise<boolean> {
  const snapbackPath = kind.snapback && scene.freshPath('snapback');
  const ends = await runKind(scene, kind, target, { snapbackPath });
  return claimsSuccess(ends) && lookAtTarget(scene, target).state === 'new';
}

/** What was overwritten can be put back, however the run ended. */
async function assertRestores(scene: Scene, target: string, snapback: string): Promise<void> {
  const copy = scene.freshPath('restored');
  copyFileSync(target, copy);
  if (lookAtTarget(scene, copy).state === 'base') return;
  const { status, stderr } = await startLvmsync(['rollback', '--force', snapback, copy]).ended;
  assert.equal(status, 0, `the snapback of a failed run: ${stderr}`);
  assert.ok(readFileSync(copy).equals(scene.base), 'the snapback restores the base');
}

function assertExpected(row: Row, ends: RunEnds, expected: Expectation, succeeded: boolean): void {
  const what = `${row.kind} x ${row.fault}: ${JSON.stringify(row)}\n${printed(ends)}`;
  for (const [end, allowed] of [
    [ends.sender, expected.sender],
    [ends.receiver, expected.receiver],
  ] as const) {
    if (end === undefined) continue;
    assertClear(end, what);
    if (allowed !== undefined && end.status !== 0) {
      assert.ok(allowed.includes(end.status), `an unexpected exit status: ${what}`);
    }
  }
  if (expected.succeeds) assert.ok(succeeded, `should succeed: ${what}`);
  if (succeeded || row.outcome === 'undetectable') return;
  // An end that was struck before it could listen for signals says nothing.
  const silenced = [ends.sender, ends.receiver].some((end) => end?.signal === 'SIGTERM');
  if (expected.message && !silenced) assert.match(printed(ends), expected.message, what);
  if (expected.target) assert.ok(expected.target.includes(row.target), `a strange target: ${what}`);
}

/** A failure is one line with a hint behind it, no stack trace, and never a hang. */
export function assertClear({ status, signal, stderr }: Ended, what: string): void {
  assert.doesNotMatch(stderr, /HANGS/, what);
  assert.doesNotMatch(stderr, /^\s+at /m, `a stack trace: ${what}`);
  assert.doesNotMatch(stderr, /internal error|please report/, what);
  assert.notEqual(status, 70, what);
  const failed = status !== 0 && signal === null;
  const lines = stderr.match(/^FATAL ERROR: /gm)?.length ?? 0;
  // A sender passes on what the receiver says, and adds how that ended.
  if (failed) assert.ok(lines <= 2, `more than one message: ${what}`);
}

export function printed({ sender, receiver }: RunEnds): string {
  return `${sender?.stderr ?? ''}${receiver?.stderr ?? ''}`;
}

export function firstMessage(ends: RunEnds): string {
  return /^FATAL ERROR: (.*)$/m.exec(printed(ends))?.[1] ?? '';
}
