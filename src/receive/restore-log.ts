/** Puts back what an undo log has saved, onto a target that is open already. */
import type { BlockFile, Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import { RECORD } from '../stream/proto4.js';
import { openFileSource } from '../transport/byte-source.js';
import { createRecordReader } from '../transport/record-reader.js';
import type { RunWatcher } from '../watcher.js';
import type { OpenTarget } from './open-target.js';
import { readHandshake } from './read-handshake.js';
import { createRecordApplier } from './record-applier.js';
import { readUndoLog, type UndoLog } from './undo-log-reader.js';

export interface RestoreOptions {
  /** The undo log. */
  snapbackPath: string;
  engine: Engine;
  /** Also onto a target that is not the one that the log names. */
  force?: boolean | undefined;
  signal?: AbortSignal | undefined;
  onWarning?: ((line: string) => void) | undefined;
  /** Only check the log and the target. */
  dryRun?: boolean | undefined;
  watcher?: RunWatcher | undefined;
  /** Called once the log has been found good. */
  beforeWriting?(): Promise<void>;
}

/**
 * Checks the log whole, restores from it, and flushes.
 *
 * @returns the log that was restored from
 * @throws LvmsyncError as `rollback`
 */
export async function restoreLog(
  target: Pick<OpenTarget, 'file' | 'id' | 'state'>,
  options: RestoreOptions,
): Promise<UndoLog> {
  const { snapbackPath, engine } = options;
  const log = await readUndoLog(snapbackPath, engine);
  if (log === undefined) {
    throw new LvmsyncError('STREAM_UNKNOWN', `${snapbackPath} is a stream, not a snapback`, {
      path: snapbackPath,
      hint: `apply it with: lvmsync --apply ${snapbackPath} ${target.file.path}`,
    });
  }
  assertRightTarget(log, target, options);
  if (options.dryRun) return log;
  await target.state.forgetProgress();
  await options.beforeWriting?.();
  await applyLog(log, target.file, engine, options);
  return log;
}

function assertRightTarget(
  log: UndoLog,
  { file, id }: Pick<OpenTarget, 'file' | 'id'>,
  options: RestoreOptions,
): void {
  assertLargeEnough(file, log.highestEnd);
  const { target } = log.hello;
  if (target.id === id && target.sizeBytes === file.sizeBytes) return;
  const message =
    target.id === id
      ? `${file.path} had ${target.sizeBytes} bytes when ${options.snapbackPath} was written, and has ${file.sizeBytes} now`
      : `${options.snapbackPath} is the snapback of another target: ${target.id}, ${target.sizeBytes} bytes`;
  if (options.force) {
    options.onWarning?.(`${message} (--force)`);
    return;
  }
  throw new LvmsyncError('TARGET_UNSUITABLE', message, {
    path: file.path,
    hint: `name that target; if ${file.path} holds the same bytes as it did, use --force`,
  });
}

export function assertLargeEnough({ path, sizeBytes }: BlockFile, highestEnd: number): void {
  if (highestEnd <= sizeBytes) return;
  throw new LvmsyncError(
    'TARGET_TOO_SMALL',
    `the snapback restores up to byte ${highestEnd}, but ${path} has ${sizeBytes} bytes`,
    { path, hint: 'name the target that it was made of' },
  );
}

/** Its records overlap nowhere, so that they can be written in any order. */
async function applyLog(
  { records, dataBytes }: UndoLog,
  target: BlockFile,
  engine: Engine,
  options: RestoreOptions,
): Promise<void> {
  const source = await openFileSource(options.snapbackPath);
  const applier = createRecordApplier({ target, engine });
  const link = applier.openLink();
  const { watcher } = options;
  let toldBytes = 0;
  watcher?.phase('restore', dataBytes);
  try {
    await readHandshake(source);
    const reader = createRecordReader(source, engine);
    while (applier.records < records) {
      assertNotInterrupted(options.signal, target.path);
      const header = await reader.nextHeader();
      if (header?.type === RECORD.data) {
        await link.apply(header, reader);
        watcher?.advance(applier.dataBytes - toldBytes);
        toldBytes = applier.dataBytes;
      } else {
        await reader.readOwnBody();
      }
    }
    await applier.finish();
  } finally {
    await applier.settle();
    await source.close();
  }
}

/** @throws LvmsyncError INTERRUPTED */
export function assertNotInterrupted(signal: AbortSignal | undefined, targetPath: string): void {
  if (!signal?.aborted) return;
  throw new LvmsyncError('INTERRUPTED', `interrupted: ${targetPath} is restored in part only`, {
    path: targetPath,
    hint: 'run the same command again',
  });
}
