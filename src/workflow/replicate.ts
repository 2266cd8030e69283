/** Volumes kept equal to others elsewhere, run by run. */
import { setTimeout as delay } from 'node:timers/promises';
import { acquireLock } from '../block/lock.js';
import { stateDirectoryPath } from '../block/state-directory.js';
import { LvmsyncError } from '../errors.js';
import { readdir } from '../files.js';
import { findTaggedVolumes, type LogicalVolume } from '../lvm/logical-volume.js';
import { removeSnapshot } from '../lvm/remove-snapshot.js';
import {
  type Pair,
  type ReplicaState,
  replicaFile,
  replicaId,
  replicaIdsOf,
  replicaTag,
} from '../send/replica-state.js';
import { watchingFill } from './fill-watch.js';
import { lookAtTarget } from './look-at-target.js';
import { asOrigin, findOrigin } from './origin.js';
import {
  memberOf,
  type Replica,
  type ReplicaPart,
  type ReplicateOptions,
  recordMember,
  throwIfInterrupted,
} from './replica.js';
import { deliverNext } from './replica-delivery.js';
import { printPlan } from './replica-plan.js';
import { fillWatches, settleSnapshots, sweep, takeNext } from './replica-snapshots.js';

export interface ReplicateReport {
  /** Of the state that all targets hold: undefined after a dry run. */
  at: string | undefined;
}

/**
 * Brings each target to the state of its origin at one moment of this run, and keeps the snapshots
 * of that moment for the next run. What an earlier run had begun is completed first.
 *
 * @throws LvmsyncError USAGE, ORIGIN_UNSUITABLE, REPLICA_OTHER, PAUSE_FAILED, STATE_UNUSABLE, and
 *   what `deliver` throws; the same call goes on
 */
export async function replicate(options: ReplicateOptions): Promise<ReplicateReport> {
  const parts = await openParts(options);
  const id = idOf(parts);
  const names = parts.map(({ origin }) => origin.name).join(', ');
  const lock = await acquireLock('replica', id, names);
  try {
    await assertNotElsewhere(parts, id, options.stateDirectory);
    const file = replicaFile(options.stateDirectory, id);
    const state = (await file.load()) ?? newState(id, parts);
    const replica: Replica = {
      ...{ options, file, parts, state },
      ...{ saving: Promise.resolve(), opening: Promise.resolve(), overflows: 0 },
    };
    assertSameMembers(replica);
    if (options.dryRun) {
      await printPlan(replica);
      return { at: undefined };
    }
    if (options.compare) {
      for (const part of parts)
        await recordMember(replica, part, { held: undefined, copied: true });
    }
    const at = await watchingFill(fillWatches(replica), () => bringUpToDate(replica));
    return { at };
  } finally {
    await lock.release();
  }
}

/** @returns the time of the state that all targets hold */
async function bringUpToDate(replica: Replica): Promise<string> {
  const { options } = replica;
  let isOfThisRun = false;
  await settleSnapshots(replica);
  await lookAtUncertain(replica);
  for (;;) {
    throwIfInterrupted(replica);
    try {
      if (replica.state.next === undefined) {
        await takeNext(replica);
        isOfThisRun = true;
      } else if (!isOfThisRun) options.onSay(describeLeft(replica.state));
      const { next } = replica.state;
      if (next === undefined) throw new Error('no snapshots');
      if (!(await deliverNext(replica, next))) continue;
      await finishNext(replica);
      if (isOfThisRun) return next.at;
    } catch (error) {
      const isOurs = error instanceof LvmsyncError && error.code !== 'INTERRUPTED';
      if (!isOurs || options.signal.aborted || !(await settleSnapshots(replica))) throw error;
    }
  }
}

function describeLeft({ next }: ReplicaState): string {
  const what = next?.decided
    ? 'had decided that the targets switch to'
    : 'had taken the snapshots for';
  return `Completing first: an earlier run ${what} the state of ${next?.at}`;
}

/**
 * A target that may have been left in the middle of something is looked at before it is compared or
 * written to: its receiver completes what it had begun to apply.
 */
async function lookAtUncertain(replica: Replica): Promise<void> {
  const { options, parts } = replica;
  for (const part of parts) {
    const { held, begun } = memberOf(replica, part);
    if (held !== undefined && !begun) continue;
    const { pair, origin } = part;
    const target = await lookAtTarget({
      ...{ origin, engine: options.engine, delivery: pair.delivery },
      connect: (source) => pair.connect(source, undefined),
      completing: true,
    });
    options.onNote(`${pair.destination}: ${target}`);
  }
}

/** The snapshots that the targets hold now are what the next run's changes are listed by. */
async function finishNext(replica: Replica): Promise<void> {
  await replica.file.save({ ...replica.state, next: undefined });
  replica.state = { ...replica.state, next: undefined };
  await sweep(replica);
}

export interface RemoveReplicaOptions {
  pairs: readonly { origin: string; destination: string }[];
  stateDirectory?: string | undefined;
  onSay(line: string): void;
}

/** How long an lvcreate may take to begin that a killed run has started, in milliseconds. */
const LATE_SNAPSHOT_MS = 2000;

/**
 * Ends a replication: removes its snapshots and what is known of it. The targets stay as they are.
 *
 * @throws LvmsyncError VOLUME_NOT_FOUND, SNAPSHOT_IN_USE while it runs, TOOL_FAILED
 */
export async function removeReplica(options: RemoveReplicaOptions): Promise<void> {
  const { pairs, stateDirectory, onSay } = options;
  const origins = await Promise.all(pairs.map(({ origin }) => findOrigin(origin)));
  const id = replicaId(origins.map(({ lvUuid }, i) => [lvUuid, pairs[i]?.destination ?? '']));
  const names = origins.map(nameOfVolume).join(', ');
  const tag = replicaTag(id);
  const file = replicaFile(stateDirectory, id);
  const lock = await acquireLock('replica', id, names);
  try {
    // A state that cannot be read any more keeps nothing from being cleaned up.
    const state = await file.load().catch(() => undefined);
    if (state?.next?.taken === false) await delay(LATE_SNAPSHOT_MS);
    const removed: string[] = [];
    for (const volume of await findTaggedVolumes(tag)) {
      await removeSnapshot(volume, tag);
      removed.push(nameOfVolume(volume));
    }
    await file.remove();
    onSay(
      state === undefined && removed.length === 0
        ? `There is no such replica of ${names}: nothing to clean up`
        : `Ended: the replication of ${names}; removed ${removed.join(', ') || 'no snapshot'}`,
    );
  } finally {
    await lock.release();
  }
}

function nameOfVolume({ vgName, lvName }: LogicalVolume): string {
  return `${vgName}/${lvName}`;
}

async function openParts({ pairs }: ReplicateOptions): Promise<ReplicaPart[]> {
  const parts: Omit<ReplicaPart, 'index'>[] = [];
  for (const pair of pairs) {
    const origin = asOrigin(await findOrigin(pair.origin));
    for (const other of parts) {
      const isSame = other.origin.volume.lvUuid === origin.volume.lvUuid;
      if (!isSame && other.pair.destination !== pair.destination) continue;
      throw new LvmsyncError('USAGE', `${isSame ? origin.name : pair.destination} is named twice`, {
        hint: 'a group has each volume and each target once; replicate to another place by a command of its own',
      });
    }
    parts.push({ pair, origin });
  }
  const order = (part: Omit<ReplicaPart, 'index'>) => JSON.stringify(pairOf(part));
  parts.sort((one, other) => (order(one) < order(other) ? -1 : 1));
  return parts.map((part, index) => ({ ...part, index }));
}

function pairOf({ origin, pair }: Omit<ReplicaPart, 'index'>): Pair {
  return [origin.volume.lvUuid, pair.destination];
}

function idOf(parts: readonly ReplicaPart[]): string {
  return replicaId(parts.map(pairOf));
}

function newState(id: string, parts: readonly ReplicaPart[]): ReplicaState {
  return {
    id,
    members: parts.map(({ origin: { name, volume }, pair }) => ({
      origin: { name, vgUuid: volume.vgUuid, lvUuid: volume.lvUuid },
      destination: pair.destination,
      held: undefined,
      ...{ copied: false, begun: false, overflows: 0 },
    })),
    snapshotCount: 0,
    next: undefined,
  };
}

function assertSameMembers({ state, parts, file }: Replica): void {
  const pairs = state.members.map(({ origin, destination }): Pair => [origin.lvUuid, destination]);
  const isSame = JSON.stringify(pairs) === JSON.stringify(parts.map(pairOf));
  if (isSame && state.id === idOf(parts)) return;
  throw new LvmsyncError(
    'STATE_UNUSABLE',
    `the state of the replica in ${file.path} is that of other volumes`,
    {
      path: file.path,
      hint: 'somebody has changed the file: clean up with lvmsync replicate --remove',
    },
  );
}

/** A target belongs to one replica: two would undo each other's work. */
async function assertNotElsewhere(
  parts: readonly ReplicaPart[],
  ownId: string,
  stateDirectory: string | undefined,
): Promise<void> {
  const files = await readdir(stateDirectoryPath(stateDirectory)).catch(() => []);
  for (const id of replicaIdsOf(files)) {
    if (id === ownId) continue;
    const state = await replicaFile(stateDirectory, id)
      .load()
      .catch(() => undefined);
    const destinations = new Set(state?.members.map(({ destination }) => destination));
    const part = parts.find(({ pair }) => destinations.has(pair.destination));
    if (state === undefined || part === undefined) continue;
    const words = state.members.map(({ origin, destination }) => `${origin.name} ${destination}`);
    throw new LvmsyncError(
      'REPLICA_OTHER',
      `${part.pair.destination} is the target of another replica: ${words.join(' ')}`,
      {
        hint: `run that one, or end it: lvmsync replicate --remove ${words.join(' ')}; the new one need not copy all again then: --compare`,
      },
    );
  }
}
