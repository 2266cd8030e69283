/** The sender's half of a PROTO[4] transfer, as docs/protocol.md has it. */
import { readFileSync } from 'node:fs';
import type { Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import { isTurnOver, nextTurn } from '../extents/turns.js';
import type { ByteSink, ByteSource } from '../stream/bytes.js';
import { encodeMessage } from '../stream/message-encoder.js';
import { parseAccept, parseReceipt, parseReceiverHello, refusalOf } from '../stream/messages.js';
import { RECORD } from '../stream/proto4.js';
import { zstdAvailable } from '../stream/zstd.js';
import type { Bandwidth } from '../transport/bandwidth.js';
import type { Channel } from '../transport/channel.js';
import { answersOf } from '../transport/first-answer.js';
import { keepAlive, withTimeout } from '../transport/pulse.js';
import { createStreamWriter, type StreamWriter } from '../transport/stream-writer.js';
import type { RunWatcher } from '../watcher.js';
import { type BaseCheck, checkBase } from './base-check.js';
import { type Body, sendBody, startBody } from './body.js';
import type { ChangeSource } from './change-source.js';
import {
  checkReceipt,
  checkTargetSize,
  explainedBy,
  whyItStopped,
  writeEnd,
  writeOpening,
} from './conversation.js';
import { createInbox, type Inbox } from './inbox.js';
import { createLinkSet } from './link-set.js';
import { type LinkWishes, ONE_LINK, type OpenedLinks, openLinks } from './open-links.js';
import { extentsToSend } from './resume.js';
import { interruptedError, type SendReport } from './send.js';
import {
  comparesBlocks,
  type Skipping,
  type SkipUnchanged,
  skipUnchanged,
} from './skip-unchanged.js';

export interface SendTransferOptions {
  source: ChangeSource;
  engine: Engine;
  version: string;
  /** Compress the data where the receiver can take it. */
  compress?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** What limits and counts what is written, over all links. */
  bandwidth?: Bandwidth | undefined;
  watcher?: RunWatcher | undefined;
}

export interface ConverseOptions extends SendTransferOptions {
  /** How much of the target is checked to hold the base before anything is overwritten. */
  base: BaseCheck;
  /** How long the receiver, or a further link, may be silent, in milliseconds; 0 for ever. */
  timeoutMs: number;
  /** Whether to leave out what the target holds already within changed chunks; `never` unless said. */
  skipUnchanged?: SkipUnchanged | undefined;
  /**
   * Called when the receiver has everything, durably, and its target is still as it was: it applies
   * that once this resolves, and drops it if this rejects (the transfer fails with INTERRUPTED then).
   * Called again when the connection breaks and another one gets as far.
   */
  hold?: (() => Promise<void>) | undefined;
  onNote?: ((line: string) => void) | undefined;
  onWarning?: ((line: string) => void) | undefined;
}

export interface ChannelOptions extends ConverseOptions {
  channel: Channel;
  /** Resolves when the receiver has begun to answer, and rejects when it will not. */
  answered: Promise<void>;
  /** How far earlier connections of this run got; goes on from there. */
  attempts: Attempts;
  /** Over how many links, and of which kind. */
  links?: LinkWishes | undefined;
}

export interface OnRequestOptions extends ConverseOptions {
  /** What the receiver that asks is answered with; it has had the label. */
  writer: StreamWriter;
  /** What it says, from its label on; fails when that takes too long. */
  input: ByteSource;
}

/** What the connections of one run have in common. */
export interface Attempts {
  /** Names the run. */
  readonly run: string;
  /** How far any of them has sent. */
  sentOffset: number;
  /** Whether the base was found right: what has been sent since need not look like it. */
  baseChecked: boolean;
}

/** A name for a run that no other run has: a random UUID of the kernel's (random(4)). */
export function newRun(): string {
  return readFileSync('/proc/sys/kernel/random/uuid', 'latin1').trim();
}

/**
 * Sends all changes and resolves when the receipt has come and is right: the target is flushed
 * and holds what was sent, and the source was the same until all had been read.
 *
 * @throws LvmsyncError what the receiver refused with; TARGET_TOO_SMALL and BASE_MISMATCH before
 *   anything is written; RECEIPT_WRONG, PEER_STALLED, CONNECTION_LOST, INTERRUPTED, and what the
 *   engine throws
 */
export async function sendTransfer(options: ChannelOptions): Promise<SendReport> {
  const { source, channel, engine, timeoutMs, bandwidth } = options;
  const writer = createStreamWriter(channel.input, bandwidth);
  const inbox = createInbox({
    source: withTimeout(answersOf(channel, options.answered), timeoutMs),
    engine,
    peer: channel.description,
    onFailure: writer.fail,
  });
  const stopKeepingAlive = keepAlive(writer, timeoutMs);
  try {
    return await converse({
      ...options,
      peer: channel.description,
      writer,
      inbox,
      onEndSent() {
        // A receiver that misses the end record must come to an end, and not be kept alive.
        stopKeepingAlive();
        channel.input.end();
      },
    });
  } catch (error) {
    const reason = await explainedBy(source, error);
    // The receiver must not take the end of the stream for an accident, or wait for more.
    if (!channel.input.destroyed && !channel.input.writableEnded) {
      await writer.write(encodeMessage(RECORD.refuse, refusalOf(reason))).catch(() => undefined);
    }
    throw await whyItStopped(reason, inbox);
  } finally {
    stopKeepingAlive();
  }
}

/**
 * The same for a receiver that has asked for it, and that is kept alive and told of a failure by the
 * caller.
 *
 * @throws LvmsyncError as `sendTransfer`
 */
export async function sendOnRequest(options: OnRequestOptions): Promise<SendReport> {
  const { source, input, engine, writer } = options;
  const inbox = createInbox({
    source: input,
    engine,
    peer: input.description,
    onFailure: writer.fail,
  });
  try {
    return await converse({
      ...options,
      peer: input.description,
      inbox,
      attempts: { run: newRun(), sentOffset: 0, baseChecked: false },
      isLabelled: true,
    });
  } catch (error) {
    throw await whyItStopped(await explainedBy(source, error), inbox);
  }
}

interface Conversation extends ConverseOptions {
  /** For messages: the receiver. */
  peer: string;
  writer: StreamWriter;
  inbox: Inbox;
  attempts: Attempts;
  /** Missing where there can be no further links. */
  channel?: Channel;
  /** Missing where the receiver has asked for the transfer. */
  answered?: Promise<void>;
  links?: LinkWishes | undefined;
  /** The label has been written. */
  isLabelled?: boolean;
  onEndSent?: () => void;
}

const MAY_BE_LEFT =
  'what was discarded since the interrupted run may be left on the target: lvmsync verify --repair finds it';

async function converse(options: Conversation): Promise<SendReport> {
  const { source, peer, channel, answered, writer, inbox, attempts, watcher } = options;
  const { onNote, onWarning } = options;
  let links: OpenedLinks | undefined;
  let skipping: Skipping | undefined;
  let body: Body | undefined;
  let mayReadEarly = isKnownBeforehand(options);
  async function onSent(offset: number, streamBytes: number): Promise<void> {
    attempts.sentOffset = Math.max(attempts.sentOffset, offset);
    await skipping?.onSent(streamBytes);
  }
  try {
    const answers = {
      hello: inbox.expect(RECORD.hello),
      accept: inbox.expect(RECORD.accept),
    };
    // Nothing is waited for before the checks are on their way: they cost no further round trip.
    await writeOpening(writer, options, attempts.run);
    const accepted = answers.accept.then(({ payload }) => parseAccept(payload));
    const interrupted = accepted.then(
      ({ resume, begun }) => resume !== undefined || begun === true,
    );
    interrupted.catch(() => undefined); // met below
    if (isTurnOver()) await nextTurn();
    watcher?.phase('check');
    const { links: wishes = ONE_LINK } = options;
    const linkSet = createLinkSet(wishes.dataChannel === 'tls' ? [] : [writer]);
    // The disk has time for the checks alone only as long as the receiver is being started.
    const readEarly = async () => {
      await nextTurn();
      if (mayReadEarly) body = startBody(linkSet, source.extents, { ...options, onSent });
      mayReadEarly = false;
    };
    const checked = attempts.baseChecked
      ? undefined
      : checkBase({ ...options, interrupted, onAsked: () => void readEarly() });
    checked?.catch(() => undefined); // met below
    answered?.then(readEarly, () => undefined);
    const hello = parseReceiverHello((await answers.hello).payload);
    checkTargetSize(hello, source, peer);
    if (options.hold && !hello.capabilities.includes('hold')) throw cannotHold(peer);
    const accept = await accepted;
    mayReadEarly = false;
    if (accept.resume !== undefined) {
      await body?.abandon();
      body = undefined;
    }
    if (accept.startsOver !== undefined) onNote?.(`starting over: ${accept.startsOver}`);
    // A list of a thin pool may lack what an earlier one had: neither volume holds that any more.
    if (accept.begun && source.discarded !== undefined) onWarning?.(MAY_BE_LEFT);
    // What takes long is not begun for a wrong base.
    if (accept.resume !== undefined || options.skipUnchanged === 'always') await checked;
    const resumeOffset = accept.resume ?? 0;
    const extents = await extentsToSend({
      ...options,
      resumeOffset,
      // What another run has sent may have changed since, and may not even have arrived.
      sentOffset: accept.resumeRun === attempts.run ? attempts.sentOffset : 0,
    });
    skipping = await skipUnchanged({ ...options, extents, resumeOffset });
    const compress =
      options.compress === true && zstdAvailable && hello.capabilities.includes('zstd');
    if (options.compress && !compress) onNote?.(withoutCompression());
    if (channel !== undefined && hello.capabilities.includes('links')) {
      links = openLinks({
        ...options,
        channel,
        wishes,
        totalBytes: extents.totalBytes,
        onLink: linkSet.add,
        onFailure: writer.fail,
      });
    }
    if (wishes.dataChannel === 'tls') {
      await links?.ready;
      if (!links?.count()) linkSet.add(writer);
    }
    const resumedBytes = source.extents.totalBytes - extents.totalBytes;
    body ??= startBody(linkSet, skipping.extents, { ...options, compress, onSent });
    await checked;
    attempts.baseChecked = true;
    watcher?.phase('send', source.extents.totalBytes, resumedBytes + skipping.startSending());
    const { report, totals } = await body.send();
    await skipping.finish();
    // All has been read. Before the end, at which a receiver forgets that a transfer had begun: what a
    // source that was written on meanwhile has left there may be neither old nor new.
    await source.recheck();
    watcher?.phase('flush');
    links?.end();
    const prepared = options.hold && inbox.expect(RECORD.prepared);
    // Not before: a receipt for what is still to come would end the listening.
    let receipt = prepared ? undefined : inbox.expect(RECORD.receipt);
    const endBytes = await writeEnd(writer, totals);
    if (prepared) {
      await prepared;
      await decide(options, inbox);
      receipt = inbox.expect(RECORD.receipt);
      await writer.write(encodeMessage(RECORD.commit));
    }
    options.onEndSent?.();
    const said = parseReceipt((await receipt!).payload);
    checkReceipt(said, totals);
    return {
      ...report,
      streamBytes: report.streamBytes + endBytes,
      ...{ unchangedBytes: skipping.heldBytes(), resumedBytes },
      receipt: said,
    };
  } finally {
    skipping?.stop();
    mayReadEarly = false;
    await body?.abandon();
    await links?.destroy();
  }
}

/** Whether no answer of the receiver's but an interrupted transfer can change what is sent. */
function isKnownBeforehand({ source, compress, skipUnchanged }: Conversation): boolean {
  return !compress && !comparesBlocks({ source, extents: source.extents, skipUnchanged });
}

/** Resolves when the receiver may apply what it has. */
async function decide({ source, hold }: ConverseOptions, inbox: Inbox): Promise<void> {
  await source.recheck();
  const decided = hold?.().catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new LvmsyncError('INTERRUPTED', `given up before the target was changed: ${why}`, {
      cause,
    });
  });
  const lost = inbox.failed.then((error) => {
    throw error;
  });
  await Promise.race([decided, lost]);
}

function cannotHold(peer: string): LvmsyncError {
  return new LvmsyncError('REMOTE_FAILED', `${peer}: the receiver cannot wait for the others`, {
    hint: 'install this version of lvmsync there',
  });
}

/**
 * Writes a whole PROTO[4] stream for a file: what a receiver would answer is left out.
 *
 * @throws LvmsyncError as `sendRecords`
 */
export async function writeTransfer(
  output: ByteSink,
  options: SendTransferOptions,
): Promise<SendReport> {
  if (options.compress && !zstdAvailable) {
    throw new LvmsyncError('USAGE', 'this Node has no zstd to compress with', {
      hint: 'leave --compress out, or use Node 22.15 or later',
    });
  }
  const { source, signal, bandwidth, watcher } = options;
  const writer = createStreamWriter(output, bandwidth);
  // A pipe that nobody reads, or a low limit, would not let it notice.
  signal?.addEventListener('abort', () => writer.fail(interruptedError()), { once: true });
  const openingBytes = await writeOpening(writer, options, newRun());
  watcher?.phase('send', source.extents.totalBytes);
  const { report, totals } = await sendBody(createLinkSet([writer]), source.extents, options);
  watcher?.phase('flush');
  const endBytes = await writeEnd(writer, totals);
  await writer.finish();
  return { ...report, streamBytes: openingBytes + report.streamBytes + endBytes };
}

function withoutCompression(): string {
  const who = zstdAvailable ? 'the receiver' : 'this Node';
  return `sending without compression: ${who} has no zstd (it comes with Node 22.15)`;
}
