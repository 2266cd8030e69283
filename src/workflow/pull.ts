/** A transfer that the receiver asks for: the source is on the other host, the target on this one. */
import type { Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import type { ExtentSource } from '../extents/extents.js';
import { type ApplyOptions, applyStream } from '../receive/apply.js';
import { readHandshake } from '../receive/read-handshake.js';
import { readHello, readMessage } from '../receive/transfer.js';
import type { ByteSource } from '../stream/bytes.js';
import { PROTO4_HANDSHAKE } from '../stream/handshake.js';
import { isRefusalOfPeer, parseRefusal, type SenderHello } from '../stream/messages.js';
import { damaged, RECORD } from '../stream/proto4.js';
import type { Channel } from '../transport/channel.js';
import { readExtents, writeExtents } from '../transport/extent-records.js';
import { withTimeout } from '../transport/pulse.js';
import { createRecordReader } from '../transport/record-reader.js';
import { createStreamWriter } from '../transport/stream-writer.js';
import { type ConversationOptions, converseUntilDone } from './deliver.js';
import type { Offer } from './offer.js';
import { openOffering } from './open-offering.js';

/** Label, hello, and the signs of life of a day between them. */
const MAX_OPENING_BYTES = 1 << 20;
/** What a sender says behind its END. */
const LAST_TYPES = new Set<number>([RECORD.confirm, RECORD.refuse, RECORD.alive]);
const WHOLE_BLOCK_BYTES = 1 << 30;

export interface AskOptions extends Omit<ConversationOptions, 'open' | 'protocol'> {
  /** Starts what offers the source, as `offer` does, over a new connection if need be. */
  openOffer(offer: Offer, onStderr: (chunk: Buffer) => void): Promise<Channel>;
  engine: Engine;
}

export interface PullOptions extends AskOptions {
  version: string;
  /** What is done with it here. */
  apply: Omit<ApplyOptions, 'input' | 'answers' | 'engine' | 'version' | 'timeoutMs' | 'create'>;
  /** Make the target where there is none, in this thin pool if one is named. */
  create?: { thinPool: string | undefined } | undefined;
  /** Only these of the source, whole blocks. */
  extents?: ExtentSource | undefined;
}

export interface PullReport {
  /** Of the source. */
  volumeBytes: number;
  dataBytes: number;
  recordCount: number;
  streamBytes: number;
}

/**
 * Brings what the other end offers onto the target, and resolves only when the target is flushed,
 * the source has been found unchanged after that, and the other end has ended well.
 *
 * @throws LvmsyncError what the sender fails with, and as `applyStream` and `deliver`
 */
export async function pull(options: PullOptions): Promise<PullReport> {
  const { extents, engine, version, timeoutMs, create } = options;
  return ask(extents === undefined ? 'all' : 'ranges', options, async (channel, received) => {
    const { description } = channel;
    if (extents !== undefined) await name(extents, channel);
    const { replay, record } = recorded(received);
    const { source } = await readOpening(withTimeout(record, timeoutMs), engine);
    const { writtenBytes, recordCount } = await applyStream({
      ...options.apply,
      input: replay,
      answers: channel.input,
      peer: description,
      engine,
      version,
      timeoutMs,
      needBytes: source.sizeBytes,
      ...(create && { create: { ...create, sizeBytes: source.sizeBytes } }),
    });
    await expectConfirmation(withTimeout(received, timeoutMs), engine);
    const streamBytes = received.bytes();
    return { volumeBytes: source.sizeBytes, dataBytes: writtenBytes, recordCount, streamBytes };
  });
}

export interface OfferedSource extends Omit<SenderHello['source'], 'extents'> {
  extents: ExtentSource;
  /** Tells the list of extents from any other. */
  listDigest: string;
}

/** What the other end would send, without its data. @throws LvmsyncError as `pull` */
export async function listOffered(options: AskOptions): Promise<OfferedSource> {
  const { engine, timeoutMs } = options;
  return ask('list', options, async (_, received) => {
    const input = withTimeout(received, timeoutMs);
    const { source } = await readOpening(input, engine);
    const { sizeBytes: volumeBytes, chunkBytes, extents: listed } = source;
    if (chunkBytes === 0) throw damaged('the source has chunks of 0 bytes');
    const reader = createRecordReader(input, engine);
    // Block by block, a large volume that is listed whole would take seconds.
    const blockBytes = listed.bytes === volumeBytes ? WHOLE_BLOCK_BYTES : chunkBytes;
    const extents = await readExtents(reader, { volumeBytes, blockBytes });
    if (extents.totalBytes !== listed.bytes) throw damaged('the list of extents is not whole');
    await expectConfirmation(input, engine);
    return { ...source, extents, listDigest: listed.digest };
  });
}

/** Has a conversation with what offers the source, over as many connections as it takes. */
async function ask<T>(
  offer: Offer,
  options: AskOptions,
  talk: (channel: Channel, received: CountedSource) => Promise<T>,
): Promise<T> {
  const { openOffer, command } = options;
  const open = (onStderr: (chunk: Buffer) => void) => openOffer(offer, onStderr);
  const answer = await converseUntilDone(
    {
      ...options,
      protocol: 4,
      open: (_, onStderr) => openOffering(open, command, onStderr),
    },
    async (channel, answered) => {
      await answered;
      const received = counted(channel);
      return talk(channel, received).catch((error: unknown) => {
        throw isCut(error) ? lost(channel.description, error) : error;
      });
    },
  );
  // Only a receiver that may not know PROTO[4] leaves nothing.
  if (answer === undefined) throw new LvmsyncError('INTERNAL', 'nothing was asked');
  return answer;
}

async function name(extents: ExtentSource, channel: Channel): Promise<void> {
  const writer = createStreamWriter(channel.input);
  await writer.write(Buffer.from(PROTO4_HANDSHAKE));
  await writeExtents(writer, extents);
}

/** Label and hello. @throws what the other end refuses with */
async function readOpening(input: ByteSource, engine: Engine): Promise<SenderHello> {
  const { protocol } = await readHandshake(input);
  if (protocol !== 4) throw damaged(`${input.description} does not speak PROTO[4]`);
  return readHello(createRecordReader(input, engine), input.description);
}

/** @throws what the other end found when it looked at its source again */
async function expectConfirmation(input: ByteSource, engine: Engine): Promise<void> {
  const reader = createRecordReader(input, engine);
  for (;;) {
    const header = await reader.nextHeader();
    if (header === undefined) throw lost(input.description);
    if (!LAST_TYPES.has(header.type)) {
      throw damaged(`a record of type ${header.type} follows the receipt`);
    }
    const payload = await readMessage(reader);
    if (header.type === RECORD.confirm) return;
    if (header.type === RECORD.refuse) throw parseRefusal(payload, input.description);
  }
}

interface CountedSource extends ByteSource {
  bytes(): number;
}

function counted({ answers, description }: Channel): CountedSource {
  let bytes = 0;
  return {
    description,
    bytes: () => bytes,
    async read(into) {
      const readBytes = await answers.read(into).catch((cause: unknown) => {
        throw cause instanceof LvmsyncError ? cause : lost(description, cause);
      });
      bytes += readBytes;
      return readBytes;
    },
  };
}

/** Two views of one source: what is read from `record` is read from `replay` once more. */
function recorded(source: ByteSource): { record: ByteSource; replay: ByteSource } {
  const { description } = source;
  let seen = Buffer.alloc(0);
  return {
    record: {
      description,
      async read(into) {
        const readBytes = await source.read(into);
        if (seen.length > MAX_OPENING_BYTES) throw damaged('nothing but signs of life comes');
        seen = Buffer.concat([seen, into.subarray(0, readBytes)]);
        return readBytes;
      },
    },
    replay: {
      description,
      async read(into) {
        if (seen.length === 0) return source.read(into);
        const copied = seen.copy(into);
        seen = seen.subarray(copied);
        return copied;
      },
    },
  };
}

/** The sender is gone, as the receiver's half of a transfer says it. */
function isCut(error: unknown): boolean {
  if (!(error instanceof LvmsyncError) || isRefusalOfPeer(error)) return false;
  return error.code === 'STREAM_TRUNCATED' || error.code === 'CONNECTION_LOST';
}

function lost(description: string, cause?: unknown): LvmsyncError {
  return new LvmsyncError(
    'CONNECTION_LOST',
    `${description} ended before it had confirmed what it sent`,
    { hint: 'the target is incomplete; run the same command again', cause },
  );
}
