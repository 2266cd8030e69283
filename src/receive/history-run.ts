/** A run that writes to a target as its history sees it: it is a snapback, made by the history. */
import type { Engine } from '../block/engine.js';
import {
  completed,
  dropHistory,
  hasHistory,
  newSnapbackName,
  settledManifest,
  snapbackPath,
  takeBack,
  writeManifest,
} from './history.js';
import type { Manifest } from './history-manifest.js';
import { checkReplicaRun, describeState, planRun, type ReplicaRun } from './history-plan.js';
import type { OpenTarget } from './open-target.js';
import type { Snapback } from './snapback.js';
import type { TargetState } from './state-directory.js';
import { createUndoLog } from './undo-log.js';

type Target = Pick<OpenTarget, 'file' | 'id' | 'state'>;

export interface HistoryOptions {
  engine: Engine;
  version: string;
  onWarning?: ((line: string) => void) | undefined;
}

/**
 * Finds whether the run fits what the target holds, and undoes an unfinished run where that is
 * needed for it. Nothing else is changed before the first `protect` or `complete`.
 *
 * In this order, each step durable before the next: the snapback is there; the manifest names the run;
 * the target is written to, each block once the snapback has it; the target is flushed; the snapback
 * has its end; the manifest names the new state.
 *
 * @throws LvmsyncError REPLICA_STATE, STATE_UNUSABLE, USAGE, and what `takeBack` throws
 */
export async function openHistoryRun(
  target: Target,
  replica: ReplicaRun,
  options: HistoryOptions,
): Promise<Snapback> {
  const { file, id, state } = target;
  const { engine, onWarning } = options;
  const run = checkReplicaRun(replica);
  // Who starts over has no use for what may be unreadable.
  let known = run.stateBefore === undefined ? undefined : await settledManifest(state, engine);
  const plan = planRun(known, run, file.path);
  if (known !== undefined && plan.takeBack) {
    onWarning?.(
      `${file.path} ${describeState(known)}: going back to the state of ${plan.from} first`,
    );
    known = (await takeBack(target, known, { engine, onWarning })).manifest;
  }
  const { from, to, saves, goOnWith, keep } = plan;
  let log: Snapback | undefined;
  let beginning: Promise<Manifest> | undefined;

  async function begin(): Promise<Manifest> {
    const newName = await newSnapbackName(state);
    const name = saves ? (goOnWith ?? newName) : undefined;
    if (name !== undefined) {
      const path = snapbackPath(state, name);
      log = await createUndoLog({ ...options, path, target: file, targetId: id });
    }
    return writeManifest(state, {
      holds: undefined,
      snapbacks: name === undefined ? [] : (known?.snapbacks ?? []),
      run: { from, to, file: name },
    });
  }

  return {
    async protect(overwritten) {
      beginning ??= begin();
      await beginning;
      await log?.protect(overwritten);
    },
    async complete() {
      beginning ??= begin();
      const unfinished = await beginning;
      await log?.complete();
      await writeManifest(state, completed(unfinished, keep));
    },
    async close() {
      await beginning?.catch(() => undefined);
      await log?.close();
    },
  };
}

/**
 * For a run that is no part of a replication: the history of the target, if there is one, ends with
 * its first write, since the snapbacks lead back from what is there now.
 */
export async function endingHistory(
  state: TargetState,
  snapback: Snapback | undefined,
  onWarning: ((line: string) => void) | undefined,
): Promise<Snapback | undefined> {
  if (!(await hasHistory(state))) return snapback;
  let ending: Promise<void> | undefined;
  return {
    async protect(overwritten) {
      ending ??= endHistory(state, onWarning);
      await ending;
      await snapback?.protect(overwritten);
    },
    complete: async () => snapback?.complete(),
    async close() {
      await ending?.catch(() => undefined);
      await snapback?.close();
    },
  };
}

/** To be called before a write that is no part of a replication. */
export async function endHistory(
  state: TargetState,
  onWarning: ((line: string) => void) | undefined,
): Promise<void> {
  if (!(await hasHistory(state))) return;
  onWarning?.('the target was replicated to: its history ends here, and its snapbacks are removed');
  await dropHistory(state);
}
