/**
 * What a source's machine does for a receiver that asks for it: lvmsync, started by the other end
 * with `--send-to-stdio`, as docs/protocol.md has it ("A transfer on request").
 */
import type { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import { readHandshake } from '../receive/read-handshake.js';
import { whileTelling } from '../receive/tell-sender.js';
import { receiverHello } from '../receive/transfer.js';
import { answerChecks } from '../receive/verify.js';
import type { BaseCheck } from '../send/base-check.js';
import type { ChangeSource } from '../send/change-source.js';
import { writeOpening } from '../send/conversation.js';
import { interruptedError } from '../send/send.js';
import type { SkipUnchanged } from '../send/skip-unchanged.js';
import { newRun, sendOnRequest } from '../send/transfer.js';
import { comparedBlockBytes } from '../send/unchanged-blocks.js';
import type { ByteSource } from '../stream/bytes.js';
import { encodeMessage } from '../stream/message-encoder.js';
import { damaged, RECORD } from '../stream/proto4.js';
import type { Bandwidth } from '../transport/bandwidth.js';
import { streamSource } from '../transport/byte-source.js';
import { readExtents, writeExtents } from '../transport/extent-records.js';
import { withTimeout } from '../transport/pulse.js';
import { createRecordReader } from '../transport/record-reader.js';
import type { StreamWriter } from '../transport/stream-writer.js';

/** How long a receiver may take to end that has been told of a failure, in milliseconds. */
const END_GRACE_MS = 10_000;

/**
 * What is offered: all extents of the source, those of them that the receiver names, their list,
 * or answers to the receiver's checks.
 */
export const OFFERS = ['all', 'ranges', 'list', 'answers'] as const;
export type Offer = (typeof OFFERS)[number];

export interface OfferOptions {
  offer: Offer;
  /** The receiver is kept waiting meanwhile. */
  openSource(): Promise<ChangeSource>;
  /** From the receiver. */
  input: Readable;
  /** To the receiver. */
  output: Writable;
  engine: Engine;
  version: string;
  base: BaseCheck;
  skipUnchanged: SkipUnchanged;
  compress?: boolean | undefined;
  /** How long the receiver may be silent, in milliseconds; 0 for ever. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  bandwidth?: Bandwidth | undefined;
  /** Called when the receiver knows of a failure, and will show it. */
  onRefusalSent?: (() => void) | undefined;
  onNote?: ((line: string) => void) | undefined;
  onWarning?: ((line: string) => void) | undefined;
}

/**
 * Sends what is asked for. Resolves when the receiver has acknowledged it and has been told that
 * the source is unchanged.
 *
 * @throws LvmsyncError what opening the source throws, and as `sendTransfer`; the receiver is told
 */
export function offer(options: OfferOptions): Promise<void> {
  const { input, output, timeoutMs, onRefusalSent, bandwidth, openSource, signal } = options;
  const interrupt = () => void input.destroy();
  signal?.addEventListener('abort', interrupt, { once: true });
  const received = streamSource(input, 'the receiver');
  const telling = { answers: output, timeoutMs, onRefusalSent, bandwidth };
  return whileTelling(telling, async (writer) => {
    if (writer === undefined) return;
    const source = await openSource();
    try {
      await serve(source, writer, { ...options, input: withTimeout(received, timeoutMs) });
    } catch (error) {
      throw signal?.aborted ? interruptedError() : error;
    } finally {
      await source.close();
    }
  }).catch(async (error: unknown) => {
    // A receiver that is gone says so itself.
    if (error instanceof LvmsyncError && error.code === 'CONNECTION_LOST') onRefusalSent?.();
    await receiversEnd(input);
    throw error;
  });
}

/** A receiver that meets a closed pipe would not come to read why. */
async function receiversEnd(input: Readable): Promise<void> {
  const timer = new AbortController();
  await Promise.race([
    finished(input).catch(() => undefined),
    delay(END_GRACE_MS, undefined, { signal: timer.signal }),
  ]);
  timer.abort();
}

type ServeOptions = Omit<OfferOptions, 'input'> & { input: ByteSource };

async function serve(
  source: ChangeSource,
  writer: StreamWriter,
  options: ServeOptions,
): Promise<void> {
  const { offer: offered, input, version, engine } = options;
  if (offered === 'list') {
    await writeOpening(writer, { source, version, isLabelled: true }, newRun());
    await writeExtents(writer, source.extents);
    return confirm(source, writer);
  }
  if (offered === 'answers') {
    await writer.write(encodeMessage(RECORD.hello, receiverHello(version, source.data)));
    const resume = () => ({});
    return answerChecks({ source: input, answers: writer, target: source.data, engine, resume });
  }
  const asked = offered === 'all' ? source : await partAskedFor(source, options);
  await sendOnRequest({ ...options, source: asked, writer });
  await confirm(source, writer);
}

/** What the receiver names before it begins the transfer itself. */
async function partAskedFor(
  { discarded: _, ...source }: ChangeSource,
  { input, engine }: ServeOptions,
): Promise<ChangeSource> {
  const { protocol } = await readHandshake(input);
  if (protocol !== 4) throw damaged('only a receiver that speaks PROTO[4] can name extents');
  const { volumeBytes } = source;
  const blockBytes = comparedBlockBytes(source);
  const reader = createRecordReader(input, engine);
  const extents = await readExtents(reader, { volumeBytes, blockBytes });
  return { ...source, extents, async *pairs() {} };
}

/** The last word: what was sent is right. */
async function confirm(source: ChangeSource, writer: StreamWriter): Promise<void> {
  await source.recheck();
  await writer.write(encodeMessage(RECORD.confirm));
  await writer.finish();
}
