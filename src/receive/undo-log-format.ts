/** The undo log's own messages, as docs/protocol.md has them ("A snapback"). No I/O. */
import { encodeMessage } from '../stream/message-encoder.js';
import { parseSenderHello, type Totals } from '../stream/messages.js';
import { damaged, RECORD } from '../stream/proto4.js';

/** Granularity of what is saved; a target's last block may be shorter. */
export const LOG_BLOCK_BYTES = 4096;

export interface UndoLogHello {
  /** Of the lvmsync that wrote it. */
  version: string;
  /** 32 random hexadecimal digits: its marks can be told from those of any other log. */
  log: string;
  /** When its run began to write, in milliseconds since 1970; older logs do not say. */
  begunAtMs: number | undefined;
  target: { id: string; sizeBytes: number };
}

/** Everything before `bytes` in the file had been made durable when the mark was written. */
export interface DurableMark {
  log: string;
  bytes: number;
}

/** What every mark of a log begins with, behind its record's header. */
export function markPrefix(log: string): string {
  return `{"log":"${log}"`;
}

/** A sender's HELLO, whose source is the target: so a snapback is a stream that can be applied. */
export function encodeLogHello({ version, log, begunAtMs, target }: UndoLogHello): Buffer {
  return encodeMessage(RECORD.hello, {
    version,
    run: log,
    capabilities: [],
    source: { ...target, chunkBytes: LOG_BLOCK_BYTES, extents: { count: 0, bytes: 0, digest: '' } },
    log,
    begunAtMs,
  });
}

/** Undefined when the HELLO is one of a transfer, not of a log. @throws LvmsyncError STREAM_DAMAGED */
export function parseLogHello(payload: Buffer): UndoLogHello | undefined {
  const { version, source } = parseSenderHello(payload);
  const log = field(payload, 'log');
  if (typeof log !== 'string' || !/^[0-9a-f]{32}$/.test(log)) return undefined;
  const begun = field(payload, 'begunAtMs');
  const begunAtMs = Number.isSafeInteger(begun) ? Number(begun) : undefined;
  return { version, log, begunAtMs, target: { id: source.id, sizeBytes: source.sizeBytes } };
}

export function encodeMark({ log, bytes }: DurableMark): Buffer {
  return encodeMessage(RECORD.durable, { log, bytes });
}

export function encodeLogEnd({ log, bytes }: DurableMark, totals: Totals): Buffer {
  return encodeMessage(RECORD.end, { log, bytes, ...totals });
}

/** Of a DURABLE or an END record. @throws LvmsyncError STREAM_DAMAGED */
export function parseMark(payload: Buffer): DurableMark {
  const log = field(payload, 'log');
  const bytes = field(payload, 'bytes');
  if (typeof log !== 'string' || typeof bytes !== 'number' || !Number.isSafeInteger(bytes)) {
    throw damaged('a mark of the log is malformed');
  }
  return { log, bytes };
}

function field(payload: Buffer, name: string): unknown {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'));
    return typeof value === 'object' && value !== null
      ? Object.entries(value).find(([key]) => key === name)?.[1]
      : undefined;
  } catch {
    throw damaged('a record does not hold the JSON that it should');
  }
}
