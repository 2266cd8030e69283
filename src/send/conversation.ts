/** The parts that every PROTO[4] conversation with a receiver has. */
import { setTimeout as delay } from 'node:timers/promises';
import { type ErrorCode, LvmsyncError } from '../errors.js';
import { extentsDigest } from '../extents/digest.js';
import { PROTO4_HANDSHAKE } from '../stream/handshake.js';
import { encodeMessage } from '../stream/message-encoder.js';
import {
  type ReceiverHello,
  type SenderHello,
  sameTotals,
  type Totals,
} from '../stream/messages.js';
import { RECORD } from '../stream/proto4.js';
import { zstdAvailable } from '../stream/zstd.js';
import type { StreamWriter } from '../transport/stream-writer.js';
import type { ChangeSource } from './change-source.js';
import type { Inbox } from './inbox.js';

const SOURCE_MAY_EXPLAIN = new Set<ErrorCode>(['BASE_MISMATCH', 'READ_FAILED']);

/** How long after a broken pipe the receiver's last words are waited for, in milliseconds. */
const LAST_WORDS_MS = 2000;

export interface OpeningOptions {
  source: ChangeSource;
  version: string;
  /** The label has been written before. */
  isLabelled?: boolean | undefined;
}

/** Label and hello. Returns the bytes written. */
export async function writeOpening(
  writer: StreamWriter,
  { source, version, isLabelled }: OpeningOptions,
  run: string,
): Promise<number> {
  const { extents } = source;
  const hello: SenderHello = {
    version,
    run,
    capabilities: zstdAvailable ? ['zstd', 'links'] : ['links'],
    source: {
      sizeBytes: source.volumeBytes,
      chunkBytes: source.chunkBytes,
      id: source.id,
      extents: {
        count: extents.extentCount,
        bytes: extents.totalBytes,
        digest: await extentsDigest(extents),
      },
    },
  };
  const opening = Buffer.concat([
    Buffer.from(isLabelled ? '' : PROTO4_HANDSHAKE),
    encodeMessage(RECORD.hello, hello),
  ]);
  await writer.write(opening);
  return opening.length;
}

/** Returns the bytes written. */
export async function writeEnd(writer: StreamWriter, totals: Totals): Promise<number> {
  const end = encodeMessage(RECORD.end, totals);
  await writer.write(end);
  return end.length;
}

/** @throws LvmsyncError TARGET_TOO_SMALL */
export function checkTargetSize(
  { target }: ReceiverHello,
  source: ChangeSource,
  peer: string,
): void {
  if (target.sizeBytes >= source.volumeBytes) return;
  throw new LvmsyncError(
    'TARGET_TOO_SMALL',
    `${peer}: the target has ${target.sizeBytes} bytes, but the source has ${source.volumeBytes}`,
    { hint: 'enlarge it (lvextend) or name a larger target' },
  );
}

/** @throws LvmsyncError RECEIPT_WRONG */
export function checkReceipt(receipt: Totals & { flushed: boolean }, sent: Totals): void {
  if (sameTotals(receipt, sent) && receipt.flushed) return;
  throw new LvmsyncError(
    'RECEIPT_WRONG',
    'the receiver acknowledged something else than was sent',
    {
      hint: 'do not use the target; run the same command again',
    },
  );
}

/** A receiver that takes no more has said why, but that may arrive after the broken pipe. */
export async function whyItStopped(error: unknown, inbox: Inbox): Promise<unknown> {
  if (!(error instanceof LvmsyncError) || error.code !== 'CONNECTION_LOST') return error;
  const waiting = new AbortController();
  const said = await Promise.race([
    inbox.failed,
    delay(LAST_WORDS_MS, error, { signal: waiting.signal }),
  ]);
  waiting.abort();
  return said.code === 'CONNECTION_LOST' ? error : said;
}

/** A snapshot that has filled up reads as errors, or as another base: what it really is. */
export async function explainedBy(source: ChangeSource, error: unknown): Promise<unknown> {
  if (!(error instanceof LvmsyncError) || !SOURCE_MAY_EXPLAIN.has(error.code)) return error;
  return source.recheck().then(
    () => error,
    (reason: unknown) => reason,
  );
}
