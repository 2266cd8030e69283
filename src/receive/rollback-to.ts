/** Back to an older state of a target that is replicated to, by the snapbacks of its history. */
import { reasonOf } from '../block/errno.js';
import { identify } from '../block/identity.js';
import { stateDirectoryPath } from '../block/state-directory.js';
import { LvmsyncError } from '../errors.js';
import { readManifest, settledManifest, takeBack, writeManifest } from './history.js';
import type { Manifest } from './history-manifest.js';
import { describeState } from './history-plan.js';
import { type OpenTargetOptions, openTargetForWriting } from './open-target.js';
import { openTargetToRehearse } from './open-to-verify.js';
import { openTargetState } from './state-directory.js';

export interface RollbackToOptions extends OpenTargetOptions {
  /** In UTC, as `stateTime` gives it: back to the newest state that is not later. */
  time: string;
  signal?: AbortSignal | undefined;
  /** Only say which state it would be; nothing is written. */
  dryRun?: boolean | undefined;
  /** Told each state that is reached, and the bytes that were written for it. */
  onState?: ((time: string, restoredBytes: number) => void) | undefined;
}

export interface RollbackToReport {
  /** The time of the state that the target holds now. */
  holds: string;
  /** Bytes written to the target. */
  restoredBytes: number;
}

export interface TargetStates {
  /** Times of the states that the target can be in, oldest first. */
  times: string[];
  /** That of the one that it holds; undefined while a run is unfinished. */
  holds: string | undefined;
  /** Of an unfinished run, in words. */
  unfinished: string | undefined;
}

/**
 * Undoes one run after the other, newest first, and flushes after each; the snapbacks of what is
 * undone are removed. An interrupted one is gone on with by another, or by the next run.
 *
 * @throws LvmsyncError REPLICA_STATE when there is no such state, STATE_UNUSABLE; INTERRUPTED; and
 *   what `openTargetForWriting` and `restoreLog` throw
 */
export async function rollbackTo(options: RollbackToOptions): Promise<RollbackToReport> {
  const { engine, time, targetPath, onState } = options;
  if (options.dryRun) return rehearse(options);
  const target = await openTargetForWriting(options);
  try {
    let manifest = await settledManifest(target.state, engine);
    if (manifest === undefined) throw unknownTarget(targetPath);
    const chosen = chooseState(manifest, time, targetPath);
    let restoredBytes = 0;
    while (manifest.holds !== chosen) {
      if (manifest.run === undefined) {
        manifest = await writeManifest(target.state, undoingNewest(manifest));
      }
      const step = await takeBack(target, manifest, options);
      manifest = step.manifest;
      restoredBytes += step.restoredBytes;
      onState?.(manifest.holds ?? chosen, step.restoredBytes);
    }
    return { holds: chosen, restoredBytes };
  } finally {
    await target.close();
  }
}

async function rehearse(options: RollbackToOptions): Promise<RollbackToReport> {
  const { time, targetPath } = options;
  const target = await openTargetToRehearse(options);
  try {
    const manifest = await readManifest(target.state);
    if (manifest === undefined) throw unknownTarget(targetPath);
    return { holds: chooseState(manifest, time, targetPath), restoredBytes: 0 };
  } finally {
    await target.close();
  }
}

/** @throws LvmsyncError REPLICA_STATE when nothing is known, STATE_UNUSABLE */
export async function listStates({
  targetPath,
  stateDirectory,
}: Pick<OpenTargetOptions, 'targetPath' | 'stateDirectory'>): Promise<TargetStates> {
  const id = await identify(targetPath).catch((cause: NodeJS.ErrnoException) => {
    const { words, ...errno } = reasonOf(cause);
    throw new LvmsyncError('TARGET_UNSUITABLE', `cannot find ${targetPath}: ${words}`, {
      path: targetPath,
      ...errno,
      hint: 'name the device or file that was replicated to, on the machine where it is',
      cause,
    });
  });
  const manifest = await readManifest(
    await openTargetState(stateDirectoryPath(stateDirectory), id),
  );
  if (manifest === undefined) throw unknownTarget(targetPath);
  return {
    times: reachableTimes(manifest),
    holds: manifest.holds,
    unfinished: manifest.run && describeState(manifest),
  };
}

function chooseState(manifest: Manifest, time: string, targetPath: string): string {
  const reachable = reachableTimes(manifest);
  const chosen = reachable.findLast((candidate) => candidate <= time);
  if (chosen !== undefined) return chosen;
  const message =
    reachable[0] === undefined
      ? `${targetPath} ${describeState(manifest)}, and has no snapback that leads back`
      : `${targetPath} has no state that old: the oldest is that of ${reachable[0]}`;
  throw new LvmsyncError('REPLICA_STATE', message, {
    path: targetPath,
    hint: 'lvmsync rollback --list shows what there is',
  });
}

function reachableTimes({ holds, snapbacks, run }: Manifest): string[] {
  const newest = holds ?? (run?.file === undefined ? undefined : run.from);
  return [...snapbacks.map(({ backTo }) => backTo), ...(newest === undefined ? [] : [newest])];
}

/** The newest snapback as that of an unfinished run: from here on the target is no known state. */
function undoingNewest({ snapbacks }: Manifest): Manifest {
  const { file, backTo: from } = snapbacks[snapbacks.length - 1]!;
  return {
    holds: undefined,
    snapbacks: snapbacks.slice(0, -1),
    run: { from, to: undefined, file },
  };
}

function unknownTarget(targetPath: string): LvmsyncError {
  return new LvmsyncError('REPLICA_STATE', `nothing is known of any states of ${targetPath}`, {
    path: targetPath,
    hint: 'only lvmsync replicate keeps them, in the state directory of the user that it writes as (--state-dir)',
  });
}
