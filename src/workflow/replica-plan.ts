/** What a replication would do, looked up on both sides; nothing is changed. */

import { inBytes } from '../report/quantities.js';
import { openSnapshotSource } from '../send/change-source.js';
import { lookAtTarget } from './look-at-target.js';
import { planSnapshots } from './origin.js';
import { isLost } from './own-snapshots.js';
import { memberOf, type Replica, type ReplicaPart } from './replica.js';
import { findPair, pointsToFreeze } from './replica-snapshots.js';

/** @throws LvmsyncError ORIGIN_UNSUITABLE, PAUSE_FAILED, what a receiver refuses with, and its kin */
export async function printPlan(replica: Replica): Promise<void> {
  const { options, parts, state } = replica;
  const { onSay } = options;
  for (const part of parts) {
    const { origin, pair } = part;
    const { volume, name, kind } = origin;
    onSay(`Replicating ${name} (${inBytes(volume.sizeBytes)}, ${kind}) to ${pair.destination}`);
    const held = memberOf(replica, part).held;
    const snapshots = await planSnapshots(origin, {
      size: options.snapshotSize,
      extendAtPercent: options.extendAtPercent,
      count: held === undefined ? 2 : 1,
      words: held === undefined ? 'two snapshots' : 'a second snapshot',
    });
    onSay(`  snapshots: ${snapshots}`);
    const target = await lookAtTarget({
      ...{ origin, engine: options.engine, delivery: pair.delivery },
      connect: (source) => pair.connect(source, undefined),
    });
    onSay(`  target: ${target}; ${options.keep} earlier states kept there`);
    onSay(`  to send: ${await planTransfer(replica, part)}`);
  }
  const points = await pointsToFreeze(replica);
  const steps = [
    options.pre === undefined ? undefined : `"${options.pre}" here`,
    points.length === 0 ? undefined : `freeze ${points.join(', ')}`,
    parts.length === 1 ? 'a snapshot' : `${parts.length} snapshots`,
    points.length === 0 ? undefined : 'thaw',
    options.post === undefined ? undefined : `"${options.post}" here`,
    parts.length === 1 ? 'the target switches' : 'all targets switch, or none',
  ];
  onSay(`  steps: ${steps.filter((step) => step !== undefined).join(', ')}`);
  if (state.next !== undefined) onSay(`  first: what an earlier run had begun (${state.next.at})`);
}

async function planTransfer(replica: Replica, part: ReplicaPart): Promise<string> {
  const { options } = replica;
  const member = memberOf(replica, part);
  const { held } = await findPair(replica, part);
  if (
    member.held !== undefined &&
    held !== undefined &&
    !(await isLost(held)) &&
    !options.compare
  ) {
    const source = await openSnapshotSource({
      name: held.path,
      engine: options.engine,
      stateDirectory: options.stateDirectory,
      signal: options.signal,
    });
    await source.close();
    return `what has changed since ${member.held.at}: ${inBytes(source.extents.totalBytes)} by now`;
  }
  const isCompared = member.copied || options.compare;
  return isCompared ? 'what differs, found by comparing all' : 'the whole volume, but for zeroes';
}
