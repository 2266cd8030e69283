/** Completes what an interrupted transactional run has left. */
import { rm, stat } from 'node:fs/promises';
import type { BlockFile, Engine } from '../block/engine.js';
import { nullTarget } from '../block/null-target.js';
import { LvmsyncError } from '../errors.js';
import { RECORD } from '../stream/proto4.js';
import { openFileSource } from '../transport/byte-source.js';
import { createRecordReader } from '../transport/record-reader.js';
import { readHandshake } from './read-handshake.js';
import type { Snapback } from './snapback.js';
import { removeSpool } from './spool.js';
import type { TargetState } from './state-directory.js';
import { receiveTransfer } from './transfer.js';
import { createUndoLog } from './undo-log.js';
import { readUndoLog } from './undo-log-reader.js';

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
  await rm(partialSpoolPath, { force: true });
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
    await snapback?.complete();
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
  const path = await snapbackOf(state.spoolPath, engine);
  if (path === undefined) return undefined;
  if ((await stat(path).catch(() => undefined)) === undefined) {
    onWarning?.(`its snapback ${path} is gone: completing it without`);
    return undefined;
  }
  // One that has its end holds all that is about to be overwritten again.
  if ((await readUndoLog(path, engine))?.ended) return undefined;
  return createUndoLog({ ...options, path });
}

async function snapbackOf(spoolPath: string, engine: Engine): Promise<string | undefined> {
  const source = await openFileSource(spoolPath);
  try {
    await readHandshake(source);
    const reader = createRecordReader(source, engine);
    const header = await reader.nextHeader();
    if (header?.type !== RECORD.hello) return undefined;
    const body = Buffer.alloc(4096 + header.payloadBytes);
    const { payload } = await reader.readBody(body, 4096);
    const { spool } = JSON.parse(payload.toString('utf8')) as { spool?: { snapback?: unknown } };
    return typeof spool?.snapback === 'string' ? spool.snapback : undefined;
  } finally {
    await source.close();
  }
}
