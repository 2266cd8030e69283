/** The sender's half of a verification: a receiver is asked what its target holds, and sent nothing. */
import type { Engine } from '../block/engine.js';
import type { ExtentSource } from '../extents/extents.js';
import { extentsFrom } from '../extents/from.js';
import { createTransferDigest } from '../stream/digest.js';
import { encodeMessage } from '../stream/message-encoder.js';
import {
  parseAccept,
  parseReceipt,
  parseReceiverHello,
  type ReceiverHello,
  refusalOf,
} from '../stream/messages.js';
import { RECORD } from '../stream/proto4.js';
import type { Bandwidth } from '../transport/bandwidth.js';
import type { Channel } from '../transport/channel.js';
import { answersOf } from '../transport/first-answer.js';
import { keepAlive, withTimeout } from '../transport/pulse.js';
import { createStreamWriter } from '../transport/stream-writer.js';
import type { RunWatcher } from '../watcher.js';
import { type BaseCheck, checkBase } from './base-check.js';
import type { ChangeSource } from './change-source.js';
import { compareGroups } from './compare.js';
import {
  checkReceipt,
  checkTargetSize,
  whyItStopped,
  writeEnd,
  writeOpening,
} from './conversation.js';
import { hashedGroups } from './hashed-groups.js';
import { createInbox } from './inbox.js';
import { interruptedError } from './send.js';

/** A check is small, and its data is not kept: so many are on their way at a time, for a far target. */
const CHECKS_IN_FLIGHT = 256;

export interface ConverseToVerifyOptions {
  /** To a receiver that was started with `--answer-checks`. */
  channel: Channel;
  /** Resolves when the receiver has begun to answer, and rejects when it will not. */
  answered: Promise<void>;
  source: ChangeSource;
  engine: Engine;
  version: string;
  /** How long the receiver may be silent, in milliseconds; 0 for ever. */
  timeoutMs: number;
  /** Names the run. */
  run: string;
  signal?: AbortSignal | undefined;
  onNote?: ((line: string) => void) | undefined;
  bandwidth?: Bandwidth | undefined;
  watcher?: RunWatcher | undefined;
}

/** One going over extents of source and target, which several conversations may share. */
export interface Pass {
  readonly extents: ExtentSource;
  /** What is hashed, and differs, as one. */
  readonly pieceBytes: number;
  /** Below it everything has been answered. */
  doneOffset: number;
  comparedBytes: number;
  /** Told every piece that differs, ascending, once. */
  onDifference(offset: number, length: number): void;
}

export interface Verification {
  readonly target: ReceiverHello['target'];
  /** Of the receiver. */
  readonly version: string;
  /** Where an interrupted transfer of the same source would go on. */
  readonly resumeOffset: number | undefined;
  /** Whether the target holds what the changes were made to. @throws as `checkBase` */
  checkBase(base: BaseCheck): Promise<void>;
  /** Goes on with a pass to its end. @throws what engine and conversation throw */
  compare(pass: Pass): Promise<void>;
}

/**
 * Has a conversation in which `talk` compares, and ends it.
 *
 * @throws LvmsyncError what the receiver refused with; TARGET_TOO_SMALL, RECEIPT_WRONG,
 *   PEER_STALLED, CONNECTION_LOST, INTERRUPTED, and what the engine throws
 */
export async function converseToVerify(
  options: ConverseToVerifyOptions,
  talk: (verification: Verification) => Promise<void>,
): Promise<void> {
  const { channel, source, engine, timeoutMs, run, signal, bandwidth, watcher } = options;
  const writer = createStreamWriter(channel.input, bandwidth);
  const inbox = createInbox({
    source: withTimeout(answersOf(channel, options.answered), timeoutMs),
    engine,
    peer: channel.description,
    onFailure: writer.fail,
  });
  const stopKeepingAlive = keepAlive(writer, timeoutMs);

  async function compare(pass: Pass): Promise<void> {
    const { extents, pieceBytes, doneOffset } = pass;
    const rest = doneOffset === 0 ? extents : await extentsFrom(extents, doneOffset);
    const answered = (offset: number, length: number) => {
      if (signal?.aborted) throw interruptedError();
      pass.doneOffset = offset + length;
      pass.comparedBytes += length;
      watcher?.advance(length);
    };
    watcher?.phase('verify', extents.totalBytes, pass.comparedBytes);
    await compareGroups(hashedGroups({ extents: rest, pieceBytes, data: source.data, engine }), {
      writer,
      inbox,
      limitBytes: source.volumeBytes,
      checksInFlight: CHECKS_IN_FLIGHT,
      onEqual: answered,
      onDifference(offset, length) {
        answered(offset, length);
        pass.onDifference(offset, length);
      },
    });
  }

  try {
    const answers = { hello: inbox.expect(RECORD.hello), accept: inbox.expect(RECORD.accept) };
    await writeOpening(writer, options, run);
    const hello = parseReceiverHello((await answers.hello).payload);
    checkTargetSize(hello, source, channel.description);
    const { resume: resumeOffset } = parseAccept((await answers.accept).payload);
    const interrupted = Promise.resolve(resumeOffset !== undefined);
    const { target, version } = hello;
    const base = (base: BaseCheck) => checkBase({ ...options, base, interrupted, writer, inbox });
    await talk({ target, version, resumeOffset, compare, checkBase: base });
    const receipt = inbox.expect(RECORD.receipt);
    const nothing = { records: 0, dataBytes: 0, digest: createTransferDigest().hex() };
    await writeEnd(writer, nothing);
    stopKeepingAlive(); // a receiver that misses the end record must come to an end
    channel.input.end();
    checkReceipt(parseReceipt((await receipt).payload), nothing);
  } catch (error) {
    if (!channel.input.destroyed && !channel.input.writableEnded) {
      await writer.write(encodeMessage(RECORD.refuse, refusalOf(error))).catch(() => undefined);
    }
    throw await whyItStopped(error, inbox);
  } finally {
    stopKeepingAlive();
  }
}
