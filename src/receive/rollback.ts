/** Puts back what a run has overwritten, from its snapback in either format. */
import { reasonOf } from '../block/errno.js';
import { LvmsyncError } from '../errors.js';
import { openFileSource } from '../transport/byte-source.js';
import type { RunWatcher } from '../watcher.js';
import { readClassicSnapback, restoreClassicSnapback } from './classic-snapback.js';
import { assertNotOfHistory } from './history.js';
import { endHistory } from './history-run.js';
import { type OpenTarget, type OpenTargetOptions, openTargetForWriting } from './open-target.js';
import { openTargetToRehearse } from './open-to-verify.js';
import { readHandshake } from './read-handshake.js';
import { assertLargeEnough, assertNotInterrupted, restoreLog } from './restore-log.js';

export interface RollbackOptions extends OpenTargetOptions {
  /** The snapback. */
  snapbackPath: string;
  signal?: AbortSignal | undefined;
  /** Check snapback and target, and write nothing: the report is of what would be restored. */
  dryRun?: boolean | undefined;
  watcher?: RunWatcher | undefined;
}

export interface RollbackReport {
  /** Bytes written to the target. */
  restoredBytes: number;
  records: number;
  format: 3 | 4;
  /** Whether the snapback is of a run that came to its end; PROTO[3] does not say. */
  ended: boolean | undefined;
  /** Of a write to the snapback that was under way when its run was cut; nothing depends on it. */
  tornBytes: number;
}

/**
 * Restores the target, and flushes it. The snapback is checked whole before; it is left as it is.
 * An interrupted rollback is made good by another one.
 *
 * @throws LvmsyncError STREAM_DAMAGED, STREAM_TRUNCATED, STREAM_UNKNOWN, TARGET_UNSUITABLE when
 *   the snapback is of another target, TARGET_TOO_SMALL (the target is untouched); INTERRUPTED; and
 *   what `openTargetForWriting` and the engine throw
 */
export async function rollback(options: RollbackOptions): Promise<RollbackReport> {
  const { snapbackPath, watcher } = options;
  watcher?.phase('check');
  const { protocol, lineBytes } = await readLabel(snapbackPath);
  const target = await (options.dryRun ? openTargetToRehearse : openTargetForWriting)(options);
  try {
    await assertNotOfHistory(target.state, snapbackPath);
    const report =
      protocol === 3
        ? await restoreClassic(lineBytes, target, options)
        : await restoreUndoLog(target, options);
    watcher?.phase('flush');
    if (!options.dryRun) await target.file.flush();
    return report;
  } catch (cause) {
    if (cause instanceof LvmsyncError || !(cause instanceof Error && 'code' in cause)) throw cause;
    const { words, ...errno } = reasonOf(cause);
    throw new LvmsyncError('READ_FAILED', `cannot read ${snapbackPath}: ${words}`, {
      path: snapbackPath,
      ...errno,
      hint: 'the target is restored in part only: make the snapback readable and run this again',
      cause,
    });
  } finally {
    await target.close();
  }
}

async function readLabel(path: string) {
  const source = await openFileSource(path);
  try {
    return await readHandshake(source);
  } finally {
    await source.close();
  }
}

async function restoreClassic(
  startBytes: number,
  { file, state }: OpenTarget,
  options: RollbackOptions,
): Promise<RollbackReport> {
  const { snapbackPath, engine, force } = options;
  const snapback = await readClassicSnapback(snapbackPath, startBytes);
  const { tornBytes, records, dataBytes, highestEnd } = snapback;
  if (tornBytes > 0 && !force) {
    throw new LvmsyncError(
      'STREAM_TRUNCATED',
      `${snapbackPath} ends inside a record (${tornBytes} bytes of it are there)`,
      {
        path: snapbackPath,
        hint: 'if an interrupted run left it so, all that it protects is there: use --force; if it was cut while it was copied, look for the whole one',
      },
    );
  }
  assertLargeEnough(file, highestEnd);
  if (!options.dryRun) {
    await state.forgetProgress();
    await endHistory(state, options.onWarning);
    options.watcher?.phase('restore');
    const proceed = () => assertNotInterrupted(options.signal, options.targetPath);
    await restoreClassicSnapback(snapbackPath, snapback, file, engine, proceed);
  }
  return { restoredBytes: dataBytes, records, format: 3, ended: undefined, tornBytes };
}

async function restoreUndoLog(
  target: OpenTarget,
  options: RollbackOptions,
): Promise<RollbackReport> {
  const { dataBytes, records, ended, tornBytes } = await restoreLog(target, {
    ...options,
    beforeWriting: () => endHistory(target.state, options.onWarning),
  });
  return { restoredBytes: dataBytes, records, format: 4, ended, tornBytes };
}
