/** The snapshots of a replica: taken in one moment, watched, found lost, removed. */
import { LvmsyncError } from '../errors.js';
import { findFreezable } from '../lvm/freezable.js';
import { findTaggedVolumes, type LogicalVolume } from '../lvm/logical-volume.js';
import { assertCanFreeze, whilePaused } from '../lvm/pause.js';
import { removeSnapshot } from '../lvm/remove-snapshot.js';
import { replicaTag } from '../send/replica-state.js';
import { snapshotName } from '../send/state-fields.js';
import type { FillWatch } from './fill-watch.js';
import { findOwnSnapshots, isLost, makeSnapshot, type OwnSnapshot } from './own-snapshots.js';
import {
  hasSwitched,
  memberOf,
  type Replica,
  type ReplicaPart,
  record,
  recordMember,
  throwIfInterrupted,
} from './replica.js';

/** After so many snapshots that overflowed in one run, larger ones have to be asked for. */
const MAX_OVERFLOWS = 3;

/** Takes a snapshot of each origin, all of one moment; their names are on record before. */
export async function takeNext(replica: Replica): Promise<void> {
  throwIfInterrupted(replica);
  const { options, parts, state } = replica;
  const number = state.snapshotCount + 1;
  const names = parts.map(({ origin }) => snapshotName(origin.volume.lvName, state.id, number));
  const next = { at: timeAfter(replica), names, taken: false, decided: false };
  await record(replica, () => ({ snapshotCount: number, next }));
  const pause = {
    mountPoints: await pointsToFreeze(replica),
    ...{ pre: options.pre, post: options.post, limitSeconds: options.pauseSeconds },
    onOutput: options.onOutput,
  };
  await whilePaused(pause, async () => {
    next.at = timeAfter(replica);
    for (const part of parts) {
      throwIfInterrupted(replica);
      await makeSnapshot({
        origin: part.origin,
        name: snapshotName(part.origin.volume.lvName, state.id, number),
        tag: replicaTag(state.id),
        size: options.snapshotSize,
        overflows: memberOf(replica, part).overflows,
        onNote: options.onNote,
      });
    }
  });
  await record(replica, () => ({ next: { ...next, taken: true } }));
}

/** Mount points of what is frozen. @throws LvmsyncError PAUSE_FAILED */
export async function pointsToFreeze({ options, parts, file }: Replica): Promise<string[]> {
  if (!options.freeze) return [];
  const devices = parts.map(({ origin }) => origin.volume.device);
  const points = await findFreezable(devices, [file.path, `${file.path}/..`]);
  if (points.length > 0) assertCanFreeze();
  return points;
}

/** Now, or later than every state that a target has: they are told apart by their times. */
function timeAfter({ state }: Replica): string {
  const last = state.members.map(({ held }) => (held === undefined ? 0 : Date.parse(held.at)));
  return new Date(Math.max(Date.now(), 1 + Math.max(...last))).toISOString();
}

/**
 * What a part's target holds, and what it is to hold, as far as they are there.
 *
 * @param tagged see `findOwnSnapshots`
 */
export async function findPair(
  replica: Replica,
  part: ReplicaPart,
  tagged?: readonly LogicalVolume[],
): Promise<{ held: OwnSnapshot | undefined; next: OwnSnapshot | undefined }> {
  const names = namesOf(replica, part);
  const found = await findOwnSnapshots(part.origin, replicaTag(replica.state.id), names, tagged);
  const byName = (name: string | undefined) => found.find((each) => each.name === name);
  const { next } = replica.state;
  return {
    held: byName(memberOf(replica, part).held?.name),
    next: byName(next?.names[part.index]),
  };
}

function namesOf(replica: Replica, part: ReplicaPart): string[] {
  const next = replica.state.next?.names[part.index];
  const held = memberOf(replica, part).held?.name;
  return [...new Set([held, next].filter((name) => name !== undefined))];
}

/**
 * Takes off the record what has overflowed or is gone, and removes every snapshot of the replica
 * that is not on record.
 *
 * @returns whether anything on record was lost
 */
export async function settleSnapshots(replica: Replica): Promise<boolean> {
  if (replica.state.next?.taken === false) await record(replica, () => ({ next: undefined }));
  const tagged = await findTaggedVolumes(replicaTag(replica.state.id));
  let lost = false;
  for (const part of replica.parts) {
    const { held, next } = await findPair(replica, part, tagged);
    const member = memberOf(replica, part);
    const isNextLost = replica.state.next !== undefined && (!next || (await isLost(next)));
    if (member.held !== undefined && (!held || (await isLost(held)))) {
      lost = true;
      const what = held === undefined ? 'is gone' : 'overflowed';
      await loseHeld(replica, part, `snapshot ${member.held.name} ${what}`);
      if (held !== undefined) await countOverflow(replica, part);
    }
    if (isNextLost) {
      lost = true;
      await loseNext(replica, part);
      if (next !== undefined) await countOverflow(replica, part);
    }
  }
  await sweep(replica, tagged);
  return lost;
}

/** From now on it is not known what a target lacks. */
export async function loseHeld(replica: Replica, part: ReplicaPart, why: string): Promise<void> {
  const { onWarning } = replica.options;
  onWarning(
    `${why}: what has changed since is not known any more, so ${part.pair.destination} is compared with ${part.origin.name} whole`,
  );
  await recordMember(replica, part, { held: undefined, begun: false });
}

/** Without one of them the others are of no use: all targets are to be of one moment. */
async function loseNext(replica: Replica, { index }: ReplicaPart): Promise<void> {
  const { next } = replica.state;
  if (next === undefined) return;
  const { onWarning } = replica.options;
  onWarning(`snapshot ${next.names[index]} overflowed, or is gone: new ones are taken`);
  if (replica.parts.some((part) => hasSwitched(replica, part, next))) {
    onWarning('some targets have switched already and others have not, until this run is over');
  }
  await record(replica, () => ({ next: undefined }));
}

async function countOverflow(replica: Replica, part: ReplicaPart): Promise<void> {
  const { overflows } = memberOf(replica, part);
  await recordMember(replica, part, { overflows: overflows + 1 });
  replica.overflows++;
  if (replica.overflows <= MAX_OVERFLOWS * replica.parts.length) return;
  throw new LvmsyncError(
    'SNAPSHOT_INVALID',
    `snapshots of ${part.origin.name} have overflowed again and again in this run`,
    { hint: 'run the same command again with a larger --snapshot-size' },
  );
}

/** Removes the snapshots of the replica that are not on record. @param tagged see `findOwnSnapshots` */
export async function sweep(replica: Replica, tagged?: readonly LogicalVolume[]): Promise<void> {
  const tag = replicaTag(replica.state.id);
  const kept = replica.parts.flatMap((part) =>
    namesOf(replica, part).map((name) => `${part.origin.volume.vgUuid} ${name}`),
  );
  for (const volume of tagged ?? (await findTaggedVolumes(tag))) {
    if (!kept.includes(`${volume.vgUuid} ${volume.lvName}`)) await removeSnapshot(volume, tag);
  }
}

export function fillWatches(replica: Replica): FillWatch[] {
  const { options } = replica;
  return replica.parts.map((part) => ({
    ...{ origin: part.origin, extendAtPercent: options.extendAtPercent },
    names: () => namesOf(replica, part),
    find: () => findOwnSnapshots(part.origin, replicaTag(replica.state.id), namesOf(replica, part)),
    ...{ onSay: options.onSay, onWarning: options.onWarning },
  }));
}
