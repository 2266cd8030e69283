/** How a run fits what is known of its target. No I/O. */
import { LvmsyncError } from '../errors.js';
import { MAX_KEPT, type Manifest, stateTime } from './history-manifest.js';

/** What a sender says of a run that is part of a replication. Times as `stateTime` takes them. */
export interface ReplicaRun {
  /** How many snapbacks are kept, 0 to 1000. */
  keep: number;
  /**
   * The state that the sender takes the target to hold; `any` when it has compared, and sends
   * whatever differs; left out when it sends all and nothing of before is to be kept.
   */
  stateBefore?: string | undefined;
  /** The state that the target is in after the run. */
  stateAfter: string;
}

export interface RunPlan {
  /** Whether an unfinished run is undone first; the target holds `from` then. */
  takeBack: boolean;
  /** The state before the run; undefined when there is no way back to it. */
  from: string | undefined;
  to: string;
  /** Whether what is overwritten is saved: only where that leads back to `from`. */
  saves: boolean;
  /** The snapback of an unfinished run, to be gone on with. */
  goOnWith: string | undefined;
  keep: number;
}

/** @throws LvmsyncError USAGE */
export function checkReplicaRun({ keep, stateBefore, stateAfter }: ReplicaRun): ReplicaRun {
  if (!Number.isInteger(keep) || keep < 0 || keep > MAX_KEPT) {
    throw wrong(`--keep is a number from 0 to ${MAX_KEPT}`);
  }
  const after = stateTime(stateAfter);
  const before = stateBefore === 'any' ? stateBefore : stateTime(stateBefore ?? stateAfter);
  if (after === undefined || before === undefined) {
    throw wrong('a state is named by a time like 2026-01-31T12:00:00Z');
  }
  return { keep, stateAfter: after, ...(stateBefore !== undefined && { stateBefore: before }) };
}

/**
 * @param known undefined when nothing is
 * @param targetPath for messages
 * @throws LvmsyncError REPLICA_STATE when the target does not hold what the sender takes it to hold,
 *   and that cannot be had back, or when its state is later than the run's
 */
export function planRun(
  known: Manifest | undefined,
  { keep, stateBefore, stateAfter: to }: ReplicaRun,
  targetPath: string,
): RunPlan {
  const startOver = {
    takeBack: false,
    from: undefined,
    to,
    saves: false,
    goOnWith: undefined,
    keep,
  };
  if (stateBefore === undefined) return startOver;
  const anyState = stateBefore === 'any';
  const run = known?.run;
  if (anyState && (known === undefined || (run !== undefined && run.file === undefined))) {
    return startOver;
  }
  const from = known?.holds ?? run?.from;
  if (known === undefined || from === undefined) throw unknownState(known, stateBefore, targetPath);
  // A run whose receipt was lost is repeated: the target holds its outcome already.
  if (!anyState && from !== stateBefore && from !== to)
    throw otherState(known, stateBefore, targetPath);
  if (from > to) throw laterState(from, to, targetPath);
  const plan = { ...startOver, from, saves: keep > 0 };
  if (run === undefined) return plan;
  // What is sent next covers what that run has written only if it is the same, or was compared.
  const isGoingOn = run.to !== undefined && (anyState || run.to === to);
  if (isGoingOn) return { ...plan, saves: run.file !== undefined, goOnWith: run.file };
  if (run.file === undefined) throw unknownState(known, stateBefore, targetPath);
  return { ...plan, takeBack: true };
}

const COMPARE = 'compare it with the source and send what differs, or copy the whole volume';

/** Of the target, in words. */
export function describeState({ holds, run }: Manifest): string {
  if (run === undefined) return `holds the state of ${holds}`;
  const { from, to } = run;
  return to === undefined
    ? `was being rolled back to the state of ${from}`
    : `was left by an interrupted run between the state of ${from ?? 'some time before'} and that of ${to}`;
}

function otherState(known: Manifest, stateBefore: string, targetPath: string): LvmsyncError {
  return new LvmsyncError(
    'REPLICA_STATE',
    `${targetPath} ${describeState(known)}; the sender takes it to hold that of ${stateBefore}`,
    { path: targetPath, hint: COMPARE },
  );
}

function unknownState(
  known: Manifest | undefined,
  stateBefore: string,
  targetPath: string,
): LvmsyncError {
  if (known !== undefined) return otherState(known, stateBefore, targetPath);
  return new LvmsyncError(
    'REPLICA_STATE',
    `nothing is known of what ${targetPath} holds; the sender takes it to hold the state of ${stateBefore}`,
    { path: targetPath, hint: COMPARE },
  );
}

function laterState(from: string, to: string, targetPath: string): LvmsyncError {
  return new LvmsyncError(
    'REPLICA_STATE',
    `${targetPath} holds the state of ${from}, which is later than that of this run, ${to}`,
    {
      path: targetPath,
      hint: 'is the clock of the sender right? a full copy begins a new history',
    },
  );
}

function wrong(message: string): LvmsyncError {
  return new LvmsyncError('USAGE', message, {
    hint: 'these options are for lvmsync replicate, at the other end',
  });
}
