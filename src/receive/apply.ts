import type { Writable } from 'node:stream';
import type { BlockFile, Engine } from '../block/engine.js';
import { nullTarget } from '../block/null-target.js';
import { assertTargetUsable, inspectTarget } from '../block/target.js';
import { LvmsyncError } from '../errors.js';
import type { ByteSource } from '../stream/bytes.js';
import { PROTO4_HANDSHAKE } from '../stream/handshake.js';
import { encodeMessage } from '../stream/message-encoder.js';
import { isRefusalOfPeer } from '../stream/messages.js';
import { RECORD } from '../stream/proto4.js';
import { keepAlive, withTimeout } from '../transport/pulse.js';
import { createStreamWriter, type StreamWriter } from '../transport/stream-writer.js';
import { readHandshake } from './read-handshake.js';
import { type ReceiveReport, receive } from './receive.js';
import { createSnapback, type Snapback } from './snapback.js';
import { receiverHello, receiveTransfer, sendRefusal } from './transfer.js';

export interface ApplyOptions {
  /** The stream. One with `rewind` is read and checked whole before the target is touched. */
  input: ByteSource & { rewind?(): void };
  /** A block device or an existing regular file. */
  targetPath: string;
  engine: Engine;
  /** Where a sender that speaks PROTO[4] listens for the answers. */
  answers?: Writable | undefined;
  /** Of this program, for the hello. */
  version?: string | undefined;
  /** How long a sender that speaks PROTO[4] may be silent, in milliseconds; 0 for ever. */
  timeoutMs?: number | undefined;
  /** Where to save what is overwritten. */
  snapbackPath?: string | undefined;
  /** Override the refusals that can be overridden. */
  force?: boolean | undefined;
  /** What the target must hold at least, where it is known beforehand. */
  needBytes?: number | undefined;
  /** Devices that the target must not be. */
  sourcePaths?: readonly string[] | undefined;
  /** Called when the sender knows of a failure, and will show it. */
  onRefusalSent?: (() => void) | undefined;
  /** Told what `force` has overridden, a line each. */
  onWarning?: ((line: string) => void) | undefined;
}

/**
 * The receiver's whole job: checks the target, opens it for this run alone, applies the stream
 * and flushes. A sender that listens is told of any failure.
 *
 * @throws LvmsyncError TARGET_UNSUITABLE, TARGET_IN_USE, TARGET_TOO_SMALL (the target is
 *   untouched), and what `receive` and `receiveTransfer` throw
 */
export async function applyStream(options: ApplyOptions): Promise<ReceiveReport> {
  const answers = options.answers && createStreamWriter(options.answers);
  const stopKeepingAlive = answers && keepAlive(answers, options.timeoutMs ?? 0);
  try {
    await answers?.write(Buffer.from(PROTO4_HANDSHAKE));
    const target = await openTarget(options);
    try {
      return await applyTo(target, answers, options);
    } finally {
      await target.close();
    }
  } catch (error) {
    if (isRefusalOfPeer(error)) options.onRefusalSent?.();
    else if (answers && (await sendRefusal(answers, error))) options.onRefusalSent?.();
    throw error;
  } finally {
    stopKeepingAlive?.();
  }
}

/** Tells a sender that speaks PROTO[4] why it will not be served; false when it cannot be told. */
export async function refuseSender(answers: Writable, error: unknown): Promise<boolean> {
  const writer = createStreamWriter(answers);
  await writer.write(Buffer.from(PROTO4_HANDSHAKE)).catch(() => {}); // the next write meets it too
  return sendRefusal(writer, error);
}

async function openTarget(options: ApplyOptions): Promise<BlockFile> {
  const { targetPath, engine, needBytes, sourcePaths, force = false } = options;
  const inspected = await inspectTarget(targetPath, { needBytes, sourcePaths });
  for (const overridden of assertTargetUsable(inspected, { force })) {
    options.onWarning?.(`${overridden.message} (--force)`);
  }
  return engine.open(targetPath, { mode: 'write', exclusive: !force });
}

async function applyTo(
  target: BlockFile,
  answers: StreamWriter | undefined,
  options: ApplyOptions,
): Promise<ReceiveReport> {
  const { input, engine, snapbackPath, version = '' } = options;
  if (input.rewind !== undefined) {
    await receiveAny(nullTarget(target), input, engine, undefined, undefined);
    input.rewind();
  }
  let snapback: Snapback | undefined;
  if (snapbackPath !== undefined) snapback = await createSnapback(snapbackPath, target, engine);
  try {
    await answers?.write(encodeMessage(RECORD.hello, receiverHello(version, target)));
    const source = answers === undefined ? input : withTimeout(input, options.timeoutMs ?? 0);
    return await receiveAny(target, source, engine, snapback, answers);
  } finally {
    await snapback?.close();
  }
}

/** Whichever protocol the stream's label names. */
async function receiveAny(
  target: BlockFile,
  source: ByteSource,
  engine: Engine,
  snapback: Snapback | undefined,
  answers: StreamWriter | undefined,
): Promise<ReceiveReport> {
  const { protocol } = await readHandshake(source);
  if (protocol === 3 && answers !== undefined) {
    throw new LvmsyncError('STREAM_UNKNOWN', 'the sender asked for PROTO[4] and speaks PROTO[3]', {
      hint: 'use the same version of lvmsync on both ends',
    });
  }
  if (protocol === 3) return receive({ source, target, engine, ...(snapback && { snapback }) });
  const { records, dataBytes } = await receiveTransfer({
    source,
    answers,
    target,
    engine,
    snapback,
  });
  return { recordCount: records, writtenBytes: dataBytes };
}
