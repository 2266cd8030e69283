/** What brings targets from the snapshots that they hold to the next ones. */
import { nowMs } from '../clock.js';
import { LvmsyncError } from '../errors.js';
import { inBytes } from '../report/quantities.js';
import { type ChangeSource, openSnapshotSource } from '../send/change-source.js';
import { lockSnapshot } from '../send/lock-snapshot.js';
import type { NextSnapshots } from '../send/replica-state.js';
import { openWholeSource } from '../send/whole-source.js';
import { deliver } from './deliver.js';
import {
  hasSwitched,
  memberOf,
  type Receiving,
  type Replica,
  type ReplicaPart,
  record,
  recordMember,
  throwIfInterrupted,
} from './replica.js';
import { findPair, loseHeld } from './replica-snapshots.js';
import { verify } from './verify.js';
import { createVote } from './vote.js';

/** Whether the target has switched, or was found to hold another state than the sender believed. */
type Outcome = 'switched' | 'elsewhere';

/**
 * Brings every target that lacks them to the snapshots that were taken: all or none, but for those
 * that have held none before.
 *
 * @returns false when a target was found at another state: it is compared when this is called again
 * @throws LvmsyncError what `deliver` throws
 */
export async function deliverNext(replica: Replica, next: NextSnapshots): Promise<boolean> {
  const missing = replica.parts.filter((part) => !hasSwitched(replica, part, next));
  // Those hold nothing yet that could be kept as it was.
  for (const part of missing.filter((each) => !memberOf(replica, each).copied)) {
    if ((await deliverPart(replica, part, next)) === 'elsewhere') return false;
  }
  const others = missing.filter((part) => !hasSwitched(replica, part, next));
  if (others.length > 1 && !next.decided) return deliverTogether(replica, others, next);
  for (const part of others) {
    if ((await deliverPart(replica, part, next)) === 'elsewhere') return false;
  }
  return true;
}

async function deliverTogether(
  replica: Replica,
  parts: readonly ReplicaPart[],
  next: NextSnapshots,
): Promise<boolean> {
  const vote = createVote(parts.length, async () => {
    throwIfInterrupted(replica);
    await record(replica, () => ({ next: { ...next, decided: true } }));
    replica.options.onSay(`All ${parts.length} targets have the state of ${next.at}: they switch`);
  });
  let firstFailure: unknown;
  const deliveries = parts.map(async (part, voter): Promise<Outcome | 'failed'> => {
    try {
      const outcome = await deliverPart(replica, part, next, () => vote.ready(voter));
      if (outcome === 'elsewhere') vote.veto(new Error(`${part.pair.destination} is not ready`));
      return outcome;
    } catch (error) {
      firstFailure ??= error;
      vote.veto(error);
      return 'failed';
    }
  });
  const outcomes = await Promise.all(deliveries);
  if (outcomes.includes('elsewhere')) return false;
  if (!outcomes.includes('failed')) return true;
  if (replica.state.next?.decided) {
    const behind = parts.filter((part) => !hasSwitched(replica, part, next));
    const names = behind.map(({ pair }) => pair.destination).join(', ');
    replica.options.onWarning(
      `it was decided that all targets switch, and ${names} may not have: the next run completes that first`,
    );
  }
  throw firstFailure;
}

/** @param hold see `DeliverOptions` */
async function deliverPart(
  replica: Replica,
  part: ReplicaPart,
  next: NextSnapshots,
  hold?: () => Promise<void>,
): Promise<Outcome> {
  throwIfInterrupted(replica);
  const { options } = replica;
  const { pair, origin } = part;
  const member = memberOf(replica, part);
  const startedAt = nowMs();
  const { source, stateBefore } = await openInTurn(replica, part);
  const receiving: Receiving = {
    transactional: member.copied,
    hold: hold !== undefined,
    replica: { keep: options.keep, stateBefore, stateAfter: next.at },
  };
  const lock = await lockSnapshot(source, options.engine);
  const connection = pair.connect(source, receiving);
  try {
    await recordMember(replica, part, { begun: true });
    const { dataBytes } = await deliver({
      ...pair.delivery,
      source,
      engine: options.engine,
      open: connection.open,
      protocol: 4,
      base: member.held === undefined || member.begun ? 'none' : 'sample',
      hold,
    });
    const name = next.names[part.index] ?? '';
    await recordMember(replica, part, {
      ...{ held: { name, at: next.at }, copied: true, begun: false },
    });
    const seconds = (nowMs() - startedAt) / 1000;
    options.onSay(
      `${origin.name}: ${dataBytes} bytes (${inBytes(dataBytes)}) in ${seconds.toFixed(1)} s; ${pair.destination} holds the state of ${next.at}`,
    );
    return 'switched';
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    if (error.code === 'REPLICA_STATE' && member.held !== undefined) {
      await loseHeld(replica, part, error.message);
      return 'elsewhere';
    }
    if (error.code !== 'BASE_MISMATCH') throw error;
    throw new LvmsyncError('BASE_MISMATCH', `${pair.destination}: ${error.message}`, {
      hint: 'something else has written to the target; to make it a replica again, run the same command with --compare: what was written there is lost then',
      cause: error,
    });
  } finally {
    await connection.close();
    await lock.release();
    await source.close();
  }
}

interface Differences {
  source: ChangeSource;
  /** See `ReplicaRun`. */
  stateBefore: string | undefined;
}

function openInTurn(replica: Replica, part: ReplicaPart): Promise<Differences> {
  const opened = replica.opening.then(() => openDifferences(replica, part));
  replica.opening = opened.then(
    () => undefined,
    () => undefined,
  );
  return opened;
}

/** What a target lacks of the next snapshot: what the one that it holds lists, or what comparing finds. */
async function openDifferences(replica: Replica, part: ReplicaPart): Promise<Differences> {
  const { options } = replica;
  const { origin, pair } = part;
  const member = memberOf(replica, part);
  const { held, next } = await findPair(replica, part);
  if (next === undefined) {
    throw new LvmsyncError('SNAPSHOT_CHANGED', `a snapshot of ${origin.name} is gone`, {
      hint: 'something has removed it: run the same command again',
    });
  }
  if (member.held !== undefined && held !== undefined) {
    const source = await openSnapshotSource({
      name: held.path,
      dataPath: next.path,
      // Its number says that it is later. LVM's time does not, within a second.
      force: origin.kind === 'thick',
      engine: options.engine,
      stateDirectory: options.stateDirectory,
      signal: options.signal,
      onWarning: options.onWarning,
    });
    return { source, stateBefore: member.held.at };
  }
  const source = await openWholeSource({ path: next.path, engine: options.engine });
  if (!member.copied) {
    options.onSay(`Copying ${origin.name} whole, as it was in ${next.name}`);
    return { source, stateBefore: undefined };
  }
  options.onSay(
    `Comparing ${pair.destination} with ${origin.name} whole, as it was in ${next.name}`,
  );
  try {
    const { discarded: _, ...rest } = source;
    const extents = await findDiffering(replica, part, source);
    return { source: { ...rest, extents }, stateBefore: 'any' };
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function findDiffering({ options }: Replica, { pair }: ReplicaPart, source: ChangeSource) {
  const connection = pair.connect(source, undefined);
  try {
    const { differing, comparedBytes } = await verify({
      ...pair.delivery,
      source,
      engine: options.engine,
      open: connection.open,
      openVerifier: (onStderr) => connection.openVerifier(onStderr, true),
    });
    options.onSay(
      `Compared ${comparedBytes} bytes: ${differing.totalBytes} bytes (${inBytes(differing.totalBytes)}) differ`,
    );
    return differing;
  } finally {
    await connection.close();
  }
}
