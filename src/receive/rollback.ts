/** Puts back what a run has overwritten, from its snapback in either format. */
import type { BlockFile, Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import { RECORD, RECORD_HEADER_BYTES } from '../stream/proto4.js';
import { openFileSource } from '../transport/byte-source.js';
import { createRecordReader } from '../transport/record-reader.js';
import type { RunWatcher } from '../watcher.js';
import { readClassicSnapback, restoreClassicSnapback } from './classic-snapback.js';
import { type OpenTarget, type OpenTargetOptions, openTargetForWriting } from './open-target.js';
import { readHandshake } from './read-handshake.js';
import { createRecordApplier } from './record-applier.js';
import { readUndoLog, type UndoLog } from './undo-log-reader.js';

export interface RollbackOptions extends OpenTargetOptions {
  /** The snapback. */
  snapbackPath: string;
  signal?: AbortSignal | undefined;
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
  const target = await openTargetForWriting(options);
  try {
    const report =
      protocol === 3
        ? await restoreClassic(lineBytes, target, options)
        : await restoreLog(target, options);
    watcher?.phase('flush');
    await target.file.flush();
    return report;
  } catch (cause) {
    if (cause instanceof LvmsyncError || !(cause instanceof Error && 'code' in cause)) throw cause;
    const errno = String(cause.code);
    const message = `cannot read ${snapbackPath}: ${errno}`;
    throw new LvmsyncError('READ_FAILED', message, { path: snapbackPath, errno, cause });
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
  await state.forgetProgress();
  options.watcher?.phase('restore');
  const proceed = () => assertNotInterrupted(options);
  await restoreClassicSnapback(snapbackPath, snapback, file, engine, proceed);
  return { restoredBytes: dataBytes, records, format: 3, ended: undefined, tornBytes };
}

async function restoreLog(target: OpenTarget, options: RollbackOptions): Promise<RollbackReport> {
  const { snapbackPath, engine } = options;
  const log = await readUndoLog(snapbackPath, engine);
  if (log === undefined) {
    throw new LvmsyncError('STREAM_UNKNOWN', `${snapbackPath} is a stream, not a snapback`, {
      path: snapbackPath,
      hint: `apply it with: lvmsync --apply ${snapbackPath} ${options.targetPath}`,
    });
  }
  assertRightTarget(log, target, options);
  await target.state.forgetProgress();
  await applyLog(log, target.file, engine, options);
  const { dataBytes, records, ended, tornBytes } = log;
  return { restoredBytes: dataBytes, records, format: 4, ended, tornBytes };
}

function assertRightTarget(log: UndoLog, { file, id }: OpenTarget, options: RollbackOptions): void {
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

function assertLargeEnough({ path, sizeBytes }: BlockFile, highestEnd: number): void {
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
  options: RollbackOptions,
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
      assertNotInterrupted(options);
      const header = await reader.nextHeader();
      if (header?.type === RECORD.data) {
        await link.apply(header, reader);
        watcher?.advance(applier.dataBytes - toldBytes);
        toldBytes = applier.dataBytes;
      } else {
        const body = Buffer.alloc(RECORD_HEADER_BYTES + (header?.payloadBytes ?? 0));
        await reader.readBody(body, RECORD_HEADER_BYTES);
      }
    }
    await applier.finish();
  } finally {
    await applier.settle();
    await source.close();
  }
}

function assertNotInterrupted({ signal, targetPath }: RollbackOptions): void {
  if (!signal?.aborted) return;
  throw new LvmsyncError('INTERRUPTED', `interrupted: ${targetPath} is restored in part only`, {
    path: targetPath,
    hint: 'run the same command again',
  });
}
