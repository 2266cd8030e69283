import { resolve } from 'node:path';
import type { BlockFile, Engine } from '../block/engine.js';
import { nullTarget } from '../block/null-target.js';
import { LvmsyncError } from '../errors.js';
import { createMissingVolume, type NewVolume } from '../lvm/create-volume.js';
import type { ByteSource } from '../stream/bytes.js';
import { encodeMessage } from '../stream/message-encoder.js';
import { RECORD } from '../stream/proto4.js';
import { withTimeout } from '../transport/pulse.js';
import type { StreamWriter } from '../transport/stream-writer.js';
import type { RunWatcher } from '../watcher.js';
import { assertNotOfHistory } from './history.js';
import { checkReplicaRun, type ReplicaRun } from './history-plan.js';
import { endingHistory, openHistoryRun } from './history-run.js';
import type { LinkPolicy } from './links.js';
import { type OpenTarget, type OpenTargetOptions, openTargetForWriting } from './open-target.js';
import { type OpenToVerifyOptions, openTargetToVerify } from './open-to-verify.js';
import { applySpool } from './pending-spool.js';
import { noProgressFile, type ProgressFile, progressFile } from './progress.js';
import { readHandshake } from './read-handshake.js';
import { type ReceiveReport, receive } from './receive.js';
import { createSnapback, type Snapback } from './snapback.js';
import { createSpool, type Spool } from './spool.js';
import { type SenderOptions, whileTelling } from './tell-sender.js';
import { receiverHello, receiveTransfer, type TransferOptions } from './transfer.js';
import { createUndoLog } from './undo-log.js';
import { readUndoLog } from './undo-log-reader.js';

export interface ApplyOptions extends OpenTargetOptions, SenderOptions {
  /** The stream. One with `rewind` is read and checked whole before the target is touched. */
  input: ByteSource & { rewind?(): void; readonly path?: string };
  /** Who sends, for messages; `the sender` unless said. */
  peer?: string | undefined;
  /** How the sender may reach this end with further links. */
  links?: LinkPolicy | undefined;
  /** Where to save what is overwritten. */
  snapbackPath?: string | undefined;
  /** 4 (the default): an undo log; 3: what an original lvmsync can apply. */
  snapbackFormat?: 3 | 4 | undefined;
  /** Make the target, a logical volume, where there is none. */
  create?: NewVolume | undefined;
  /** Told what was made. */
  onNote?: ((line: string) => void) | undefined;
  /** Write nothing to the target before the whole stream has come and been found right. */
  transactional?: boolean | undefined;
  watcher?: RunWatcher | undefined;
  /** Nor before the sender has said so: for a sender that listens, with `transactional`. */
  hold?: boolean | undefined;
  /** The run is part of a replication: the target's history is kept. */
  replica?: ReplicaRun | undefined;
}

/**
 * The receiver's whole job: checks the target, opens it for this run alone, applies the stream
 * and flushes. A sender that listens is told of any failure.
 *
 * @throws LvmsyncError TARGET_UNSUITABLE, TARGET_IN_USE, TARGET_TOO_SMALL (the target is
 *   untouched), and what `receive` and `receiveTransfer` throw
 */
export function applyStream(options: ApplyOptions): Promise<ReceiveReport> {
  return whileTelling(options, async (answers) => {
    checkOptions(options);
    await createTarget(options);
    const target = await openTargetForWriting(options);
    try {
      return await applyTo(target, answers, options);
    } finally {
      await target.close();
    }
  });
}

function checkOptions(options: ApplyOptions): void {
  const { transactional, snapbackPath, snapbackFormat, hold, replica, answers } = options;
  if (replica !== undefined) checkReplicaRun(replica);
  if (answers === undefined && (hold || replica !== undefined)) {
    throw new LvmsyncError('USAGE', 'only a sender that speaks PROTO[4] can hold or replicate');
  }
  if (hold && !transactional) throw new LvmsyncError('USAGE', '--hold needs --transactional');
  if (replica !== undefined && snapbackPath !== undefined) {
    throw new LvmsyncError('USAGE', 'a run that is part of a replication makes its own snapback');
  }
  if (!transactional || snapbackPath === undefined || snapbackFormat !== 3) return;
  throw new LvmsyncError('USAGE', '--transactional needs the snapback in format 4', {
    hint: 'leave --snapback-format away: a snapback in format 3 cannot be gone on with',
  });
}

async function createTarget({ create, targetPath, onNote }: ApplyOptions): Promise<void> {
  if (create === undefined || !(await createMissingVolume(targetPath, create))) return;
  onNote?.(`made ${targetPath}`);
}

async function applyTo(
  target: OpenTarget,
  answers: StreamWriter | undefined,
  options: ApplyOptions,
): Promise<ReceiveReport> {
  const { input, engine, version = '' } = options;
  if (input.rewind !== undefined) {
    if (input.path !== undefined) await assertNotOfHistory(target.state, input.path);
    await assertWholeLog(input.path, engine, options.targetPath);
    await check(nullTarget(target.file), input, options);
    input.rewind();
  }
  const snapback = await openSnapback(target, options);
  try {
    await answers?.write(
      encodeMessage(RECORD.hello, receiverHello(version, target.file, options.hold)),
    );
    const source = answers === undefined ? input : withTimeout(input, options.timeoutMs ?? 0);
    return await receiveAny(target, source, snapback, answers, options);
  } finally {
    await snapback?.close();
  }
}

/** Applied as a stream, a snapback has to have its end; `rollback` knows how to do without. */
async function assertWholeLog(
  path: string | undefined,
  engine: Engine,
  targetPath: string,
): Promise<void> {
  if (path === undefined) return;
  // What cannot be read as a log fails as a stream, or is a good one.
  const log = await readUndoLog(path, engine).catch(() => undefined);
  if (log === undefined || log.ended) return;
  throw new LvmsyncError('STREAM_TRUNCATED', `${path} is the snapback of an interrupted run`, {
    path,
    hint: `restore from it with: lvmsync rollback ${path} ${targetPath}`,
  });
}

async function openSnapback(
  target: OpenTarget,
  options: ApplyOptions,
): Promise<Snapback | undefined> {
  const { replica, engine, version = '', onWarning } = options;
  if (replica !== undefined) return openHistoryRun(target, replica, { engine, version, onWarning });
  return endingHistory(target.state, await openOwnSnapback(target, options), onWarning);
}

async function openOwnSnapback(
  target: OpenTarget,
  { snapbackPath, snapbackFormat, engine, version = '', onWarning }: ApplyOptions,
): Promise<Snapback | undefined> {
  if (snapbackPath === undefined) return undefined;
  const { file, id } = target;
  if (snapbackFormat === 3) return createSnapback(snapbackPath, file, engine);
  return createUndoLog({
    path: snapbackPath,
    target: file,
    targetId: id,
    engine,
    version,
    onWarning,
  });
}

/** Reads the whole stream as if it were applied. */
async function check(
  target: BlockFile,
  source: ByteSource,
  { engine, watcher }: Pick<ApplyOptions, 'engine' | 'watcher'>,
): Promise<ReceiveReport> {
  const { protocol } = await readHandshake(source);
  const checking = watcher && {
    ...watcher,
    phase: (_: string, totalBytes?: number) => watcher.phase('check', totalBytes),
  };
  if (protocol === 3) return receive({ source, target, engine, watcher: checking });
  const report = await receiveTransfer({ source, target, engine, watcher: checking });
  return { recordCount: report.records, writtenBytes: report.dataBytes };
}

/**
 * Checks a stream and the target that it is for, and writes nothing.
 *
 * @throws LvmsyncError as `applyStream`
 */
export async function checkStream(
  options: Omit<OpenToVerifyOptions, 'forRepair'> & Pick<ApplyOptions, 'input'>,
): Promise<ReceiveReport> {
  const { input, engine, targetPath } = options;
  const target = await openTargetToVerify({ ...options, forRepair: true });
  try {
    await assertWholeLog(input.path, engine, targetPath);
    return await check(nullTarget(target), input, options);
  } finally {
    await target.close();
  }
}

/** Whichever protocol the stream's label names. */
async function receiveAny(
  target: OpenTarget,
  source: ByteSource,
  snapback: Snapback | undefined,
  answers: StreamWriter | undefined,
  options: ApplyOptions,
): Promise<ReceiveReport> {
  const { engine } = options;
  const { protocol } = await readHandshake(source);
  if (protocol === 3 && answers !== undefined) {
    throw new LvmsyncError('STREAM_UNKNOWN', 'the sender asked for PROTO[4] and speaks PROTO[3]', {
      hint: 'use the same version of lvmsync on both ends',
    });
  }
  if (protocol === 3) {
    if (options.transactional) throw needsProto4();
    await target.state.forgetProgress();
    const { watcher } = options;
    return receive({ source, target: target.file, engine, watcher, ...(snapback && { snapback }) });
  }
  const { peer, links, timeoutMs, hold, watcher } = options;
  const ends = { peer, source, answers, target: target.file };
  const transfer = { ...ends, engine, snapback, links, timeoutMs, hold, watcher };
  const { records, dataBytes } = options.transactional
    ? await receiveIntoSpool(target, transfer, options)
    : await receiveTransfer({ ...transfer, progress: await openProgress(target, answers) });
  return { recordCount: records, writtenBytes: dataBytes };
}

async function receiveIntoSpool(
  { file, id, state }: OpenTarget,
  transfer: TransferOptions,
  { engine, version = '', snapbackPath, replica }: ApplyOptions,
) {
  await state.forgetProgress();
  const spool: Spool = await createSpool({
    target: file,
    targetId: id,
    engine,
    version,
    state,
    snapbackPath: snapbackPath && resolve(snapbackPath),
    replica,
    applySpool: () => applySpool(state.spoolPath, file, engine, transfer.snapback),
  });
  try {
    return await receiveTransfer({ ...transfer, applier: spool });
  } finally {
    await spool.discard();
  }
}

/** A transfer from a file is not resumed, and a receiver without a place for it remembers none. */
async function openProgress(
  { state, file }: OpenTarget,
  answers: StreamWriter | undefined,
): Promise<ProgressFile> {
  if (answers !== undefined) {
    const prepared = await state.prepare().then(
      () => true,
      () => false,
    );
    if (prepared) {
      const { path, sizeBytes } = file;
      return progressFile(state.progressPath, { path: resolve(path), sizeBytes });
    }
  }
  await state.forgetProgress();
  return noProgressFile;
}

function needsProto4(): LvmsyncError {
  return new LvmsyncError('USAGE', '--transactional needs a PROTO[4] stream', {
    hint: 'PROTO[3] has no end mark, so nobody can tell that a stream is complete: write it with --protocol 4',
  });
}
