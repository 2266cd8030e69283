/** Completes what an interrupted transactional run has left. */
import type { BlockFile, Engine } from '../block/engine.js';
import { nullTarget } from '../block/null-target.js';
import { removeFile } from '../block/remove-file.js';
import { type ErrorCode, LvmsyncError } from '../errors.js';
import { stat } from '../files.js';
import { RECORD } from '../stream/proto4.js';
import { openFileSource } from '../transport/byte-source.js';
import { createRecordReader } from '../transport/record-reader.js';
import { checkReplicaRun, type ReplicaRun } from './history-plan.js';
import { endingHistory, openHistoryRun } from './history-run.js';
import { readHandshake } from './read-handshake.js';
import type { Snapback } from './snapback.js';
import { removeSpool } from './spool.js';
import type { TargetState } from './state-directory.js';
import { receiveTransfer } from './transfer.js';
import { createUndoLog } from './undo-log.js';
import { readUndoLog } from './undo-log-reader.js';

/** Codes of a history that has been lost. */
const LOST = new Set<ErrorCode>(['REPLICA_STATE', 'STATE_UNUSABLE']);

export interface PendingSpoolOptions {
  target: BlockFile;
  targetId: string;
  state: TargetState;
  engine: Engine;
  version: string;
  onWarning?: ((line: string) => void) | undefined;
}

/**
 * To be called by whoever is about to write to the target, before anything else: a complete spool
 * is applied, since a part of it may be on the target already; an incomplete one is dropped.
 *
 * @throws LvmsyncError STREAM_DAMAGED when the spool is not whole any more, TARGET_TOO_SMALL, and
 *   what engine and snapback throw
 */
export async function completePendingSpool(options: PendingSpoolOptions): Promise<void> {
  const { target, state, engine, onWarning } = options;
  const { spoolPath, partialSpoolPath } = state;
  await removeFile(partialSpoolPath);
  if ((await stat(spoolPath).catch(() => undefined)) === undefined) return;
  onWarning?.(
    `an earlier run with --transactional was cut while it changed ${target.path}: completing it first`,
  );
  await checkSpool(spoolPath, target, engine);
  await state.forgetProgress();
  const snapback = await openSnapback(options);
  try {
    await applySpool(spoolPath, target, engine, snapback);
    await removeSpool(state);
  } finally {
    await snapback?.close();
  }
}

/** Applies a spool that is known to be whole, and flushes the target. */
export async function applySpool(
  spoolPath: string,
  target: BlockFile,
  engine: Engine,
  snapback: Snapback | undefined,
): Promise<void> {
  const source = await openFileSource(spoolPath);
  try {
    await readHandshake(source);
    await receiveTransfer({ source, target, engine, snapback });
  } finally {
    await source.close();
  }
}

async function checkSpool(path: string, target: BlockFile, engine: Engine): Promise<void> {
  try {
    await applySpool(path, nullTarget(target), engine, undefined);
  } catch (cause) {
    if (!(cause instanceof LvmsyncError) || cause.code === 'READ_FAILED') throw cause;
    throw new LvmsyncError(cause.code, `the spool ${path} cannot be applied: ${cause.message}`, {
      path,
      hint: `${target.path} may hold a part of it: remove the spool, and copy the whole volume again or restore it from a snapback`,
      cause,
    });
  }
}

/** The undo log that the interrupted run had begun, to be gone on with. */
async function openSnapback(options: PendingSpoolOptions): Promise<Snapback | undefined> {
  const { state, engine, onWarning } = options;
  const { path, replica } = await purposeOf(state.spoolPath, engine);
  if (replica !== undefined) return openHistory(replica, options);
  return endingHistory(state, await openUndoLog(path, options), onWarning);
}

/** The run has been decided: it is completed also where its history has been lost meanwhile. */
async function openHistory(replica: ReplicaRun, options: PendingSpoolOptions): Promise<Snapback> {
  const { target: file, targetId: id, state } = options;
  const target = { file, id, state };
  try {
    return await openHistoryRun(target, replica, options);
  } catch (error) {
    const { keep, stateAfter } = replica;
    if (!(error instanceof LvmsyncError) || !LOST.has(error.code)) throw error;
    options.onWarning?.(`${error.message}: its history begins anew`);
    return openHistoryRun(target, { keep, stateAfter }, options);
  }
}

async function openUndoLog(
  path: string | undefined,
  options: PendingSpoolOptions,
): Promise<Snapback | undefined> {
  const { engine, onWarning } = options;
  if (path === undefined) return undefined;
  if ((await stat(path).catch(() => undefined)) === undefined) {
    onWarning?.(`its snapback ${path} is gone: completing it without`);
    return undefined;
  }
  // One that has its end holds all that is about to be overwritten again.
  if ((await readUndoLog(path, engine))?.ended) return undefined;
  return createUndoLog({ ...options, path });
}

interface Purpose {
  /** The undo log to go on with. */
  path?: string;
  replica?: ReplicaRun;
}

/** What the spool says of the run that it is of. */
async function purposeOf(spoolPath: string, engine: Engine): Promise<Purpose> {
  const source = await openFileSource(spoolPath);
  try {
    await readHandshake(source);
    const reader = createRecordReader(source, engine);
    const header = await reader.nextHeader();
    if (header?.type !== RECORD.hello) return {};
    const { payload } = await reader.readOwnBody();
    return parsePurpose(payload);
  } finally {
    await source.close();
  }
}

/** The directory is this user's alone, so that only the shape is checked. */
function parsePurpose(payload: Buffer): Purpose {
  const { spool } = JSON.parse(payload.toString('utf8')) as {
    spool?: { snapback?: unknown; replica?: ReplicaRun };
  };
  const { snapback, replica } = spool ?? {};
  return {
    ...(typeof snapback === 'string' && { path: snapback }),
    ...(replica !== undefined && { replica: checkReplicaRun(replica) }),
  };
}
