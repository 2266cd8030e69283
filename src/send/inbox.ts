/** What a receiver answers during a transfer, kept apart by type and checked as it comes. */
import type { Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import type { ByteSource } from '../stream/bytes.js';
import { parseHandshake } from '../stream/handshake.js';
import { parseRefusal } from '../stream/messages.js';
import { damaged, RECORD, type RecordHeader, type RecordType } from '../stream/proto4.js';
import { createRecordReader } from '../transport/record-reader.js';
import { createDeferred, type Deferred } from './deferred.js';

export interface Answer {
  header: RecordHeader;
  prologue: Buffer;
  payload: Buffer;
}

export interface Inbox {
  /**
   * The next answer of a type. To be called before the peer can have been asked for it: an answer
   * that nobody expects ends the conversation.
   *
   * @throws what the conversation failed with: the receiver's own refusal, CONNECTION_LOST,
   *   PEER_STALLED, STREAM_DAMAGED
   */
  expect(type: RecordType): Promise<Answer>;
  /** Resolves when the conversation has failed, to why. Stays open when it ends well. */
  readonly failed: Promise<LvmsyncError>;
}

export interface InboxOptions {
  /** From the receiver's label on. */
  source: ByteSource;
  engine: Engine;
  /** For messages: the host. */
  peer: string;
  /** Called once, with what every `expect` fails with too. */
  onFailure(error: LvmsyncError): void;
}

export function createInbox({ source, engine, peer, onFailure }: InboxOptions): Inbox {
  const expected = new Map<number, Deferred<Answer>[]>();
  let failure: LvmsyncError | undefined;
  let ended = false;
  const { promise: failed, resolve: reportFailure } = createDeferred<LvmsyncError>();

  async function readAll(): Promise<void> {
    const reader = createRecordReader(source, engine);
    await readLabel(source);
    for (;;) {
      const header = await reader.nextHeader();
      if (header === undefined) throw lost(peer);
      const { prologue, payload } = await reader.readOwnBody();
      if (header.type === RECORD.alive || header.type === RECORD.durable) continue;
      if (header.type === RECORD.refuse) return fail(parseRefusal(payload, peer));
      if (header.type === RECORD.receipt) assertNothingElseIsDue();
      const waiter = expected.get(header.type)?.shift();
      if (waiter === undefined) throw damaged(`${peer} answered what was not asked`);
      waiter.resolve({ header, prologue, payload });
      if (header.type === RECORD.receipt) {
        ended = true;
        failure = tooEarly(peer); // for what would still be expected
        return;
      }
    }
  }

  /** Nothing is read after a receipt: an answer that is due would be waited for for ever. */
  function assertNothingElseIsDue(): void {
    for (const [type, waiters] of expected) {
      if (type !== RECORD.receipt && waiters.length > 0) throw tooEarly(peer);
    }
  }

  function fail(error: LvmsyncError): void {
    failure = error;
    reportFailure(error);
    for (const waiters of expected.values()) for (const { reject } of waiters) reject(error);
    onFailure(error);
  }

  readAll().catch((error: unknown) => {
    if (ended) return;
    // Cut inside a record or between two: for a sender it is the same, the receiver is gone.
    const isCut = !(error instanceof LvmsyncError) || error.code === 'STREAM_TRUNCATED';
    fail(isCut ? lost(peer, error) : error);
  });

  return {
    failed,
    expect(type) {
      const waiter = createDeferred<Answer>();
      waiter.promise.catch(() => undefined); // whoever awaits it meets the failure
      if (failure !== undefined) waiter.reject(failure);
      const waiters = expected.get(type);
      if (waiters === undefined) expected.set(type, [waiter]);
      else waiters.push(waiter);
      return waiter.promise;
    },
  };
}

async function readLabel(source: ByteSource): Promise<void> {
  const line = Buffer.alloc(17);
  for (let filled = 0; filled < line.length; ) {
    const readBytes = await source.read(line.subarray(filled));
    if (readBytes === 0) throw lost(source.description);
    filled += readBytes;
  }
  if (parseHandshake(line)?.protocol !== 4) throw damaged('the receiver does not speak PROTO[4]');
}

function tooEarly(peer: string): LvmsyncError {
  return damaged(`${peer} acknowledged the transfer before it was over`);
}

function lost(peer: string, cause?: unknown): LvmsyncError {
  return new LvmsyncError('CONNECTION_LOST', `${peer} ended without a receipt`, {
    hint: 'the target is incomplete; run the same command again',
    cause,
  });
}
