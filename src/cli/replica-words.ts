/** What a receiver is told of a run that is part of a replication: how it is written and read. */
import { InvalidArgumentError } from 'commander';
import { MAX_KEPT, type ReplicaRun, stateTime } from '../index.js';
import { usageError } from './job.js';
import type { CliOptions } from './options.js';

export function parseKeep(text: string): number {
  const keep = Number(text);
  if (/^\d{1,4}$/.test(text) && keep <= MAX_KEPT) return keep;
  throw new InvalidArgumentError(`It is a number from 0 to ${MAX_KEPT}.`);
}

export function parseStateAfter(text: string): string {
  const time = stateTime(text);
  if (time !== undefined) return time;
  throw new InvalidArgumentError('It is a time like 2026-01-31T12:00:00Z.');
}

export function parseStateBefore(text: string): string {
  return text === 'any' ? text : parseStateAfter(text);
}

/** Undefined when the run is no part of a replication. @throws LvmsyncError USAGE */
export function replicaRun({
  keep,
  stateBefore,
  stateAfter,
}: Pick<CliOptions, 'keep' | 'stateBefore' | 'stateAfter'>): ReplicaRun | undefined {
  if (keep !== undefined && stateAfter !== undefined) return { keep, stateBefore, stateAfter };
  if (keep === undefined && stateAfter === undefined && stateBefore === undefined) return undefined;
  throw usageError('--keep and --state-after go together, and --state-before with them');
}

export function replicaWords({ keep, stateBefore, stateAfter }: ReplicaRun): string[] {
  const words = ['--keep', String(keep), '--state-after', stateAfter];
  if (stateBefore !== undefined) words.push('--state-before', stateBefore);
  return words;
}
