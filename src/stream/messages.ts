/** The JSON payloads of PROTO[4], as docs/protocol.md has them, checked where they come in. */
import { ERROR_EXIT_CODES, type ErrorCode, LvmsyncError } from '../errors.js';
import { damaged } from './proto4.js';

const CAPABILITIES = ['zstd', 'links', 'hold'] as const;

export type Capability = (typeof CAPABILITIES)[number];

export interface SenderHello {
  version: string;
  /** The same for all connections of one run of the sender, and for no other run. */
  run: string;
  capabilities: Capability[];
  source: {
    sizeBytes: number;
    chunkBytes: number;
    /** Whatever tells this source from any other. */
    id: string;
    extents: { count: number; bytes: number; digest: string };
  };
}

export interface ReceiverHello {
  version: string;
  capabilities: Capability[];
  target: {
    sizeBytes: number;
    kind: 'block-device' | 'file';
    /** It is not there yet, and a transfer would make it. */
    toBeMade?: true;
  };
}

export interface Accept {
  /** Offset below which an earlier, interrupted transfer of the same source is durable. */
  resume?: number;
  /** The run that got there. */
  resumeRun?: string;
  /** Why an earlier, interrupted transfer cannot be continued. */
  startsOver?: string;
  /** That one was of the same source: the target may hold chunks that are neither old nor new. */
  begun?: true;
}

/** What further links a sender asks for. */
export interface OpenRequest {
  via: 'unix' | 'tls';
  /** How many at the most. */
  links: number;
}

/** Where a receiver waits for further links. `token` and `psk` are secrets, in hexadecimal. */
export type Opened =
  | { via: 'unix'; path: string; token: string }
  | { via: 'tls'; port: number; psk: string; token: string }
  | { unavailable: string };

export interface Refusal {
  code: string;
  message: string;
  hint?: string;
}

/** What was transferred: END and RECEIPT. */
export interface Totals {
  records: number;
  dataBytes: number;
  /** 64 hexadecimal digits, as `TransferDigest` makes them. */
  digest: string;
}

export interface Receipt extends Totals {
  flushed: boolean;
}

export interface Durable {
  /** Below this offset nothing of the transfer is missing on the target, whatever happens. */
  offset: number;
}

type Fields = Record<string, unknown>;

/** @throws LvmsyncError STREAM_DAMAGED, as all of the functions below */
export function parseSenderHello(payload: Buffer): SenderHello {
  const fields = parseObject(payload);
  const source = object(fields, 'source');
  const extents = object(source, 'extents');
  return {
    version: text(fields, 'version'),
    // A file is no run that could be resumed.
    run: fields.run === undefined ? '' : text(fields, 'run'),
    capabilities: capabilities(fields),
    source: {
      sizeBytes: count(source, 'sizeBytes'),
      chunkBytes: count(source, 'chunkBytes'),
      id: text(source, 'id'),
      extents: {
        count: count(extents, 'count'),
        bytes: count(extents, 'bytes'),
        digest: text(extents, 'digest'),
      },
    },
  };
}

export function parseReceiverHello(payload: Buffer): ReceiverHello {
  const fields = parseObject(payload);
  const target = object(fields, 'target');
  const kind = text(target, 'kind');
  if (kind !== 'block-device' && kind !== 'file') throw malformed('kind');
  return {
    version: text(fields, 'version'),
    capabilities: capabilities(fields),
    target: {
      sizeBytes: count(target, 'sizeBytes'),
      kind,
      ...(target.toBeMade === true && { toBeMade: true }),
    },
  };
}

export function parseAccept(payload: Buffer): Accept {
  const fields = parseObject(payload);
  return {
    ...(fields.resume !== undefined && { resume: count(fields, 'resume') }),
    ...(fields.resumeRun !== undefined && { resumeRun: text(fields, 'resumeRun') }),
    ...(fields.startsOver !== undefined && { startsOver: printable(text(fields, 'startsOver')) }),
    ...(fields.begun === true && { begun: true }),
  };
}

export function parseOpenRequest(payload: Buffer): OpenRequest {
  const fields = parseObject(payload);
  const { via } = fields;
  if (via !== 'unix' && via !== 'tls') throw malformed('via');
  return { via, links: count(fields, 'links') };
}

export function parseOpened(payload: Buffer): Opened {
  const fields = parseObject(payload);
  if (fields.unavailable !== undefined) {
    return { unavailable: printable(text(fields, 'unavailable')) };
  }
  const token = secret(fields, 'token');
  if (fields.via === 'unix') return { via: 'unix', path: text(fields, 'path'), token };
  if (fields.via !== 'tls') throw malformed('via');
  const psk = secret(fields, 'psk');
  return { via: 'tls', port: count(fields, 'port'), psk, token };
}

export function parseJoin(payload: Buffer): { token: string } {
  return { token: secret(parseObject(payload), 'token') };
}

export function parseTotals(payload: Buffer): Totals {
  return totals(parseObject(payload));
}

export function parseReceipt(payload: Buffer): Receipt {
  const fields = parseObject(payload);
  return { ...totals(fields), flushed: fields.flushed === true };
}

export function parseDurable(payload: Buffer): Durable {
  const fields = parseObject(payload);
  return { offset: count(fields, 'offset') };
}

/** Whether both ends speak of the same records. */
export function sameTotals(a: Totals, b: Totals): boolean {
  return a.records === b.records && a.dataBytes === b.dataBytes && a.digest === b.digest;
}

/** The refusal as the error it was on the other side; `peer` says whose error it is. */
export function parseRefusal(payload: Buffer, peer: string): LvmsyncError {
  const fields = parseObject(payload);
  const code = text(fields, 'code');
  const message = `${peer}: ${printable(text(fields, 'message'))}`;
  const hint = fields.hint === undefined ? undefined : printable(text(fields, 'hint'));
  return new LvmsyncError(isErrorCode(code) ? code : 'REMOTE_FAILED', message, {
    ...(hint !== undefined && { hint }),
    cause: REFUSED_THERE,
  });
}

const REFUSED_THERE = 'a refusal of the other end';

/** Whether the error is one that the other end has told of, and so knows and shows itself. */
export function isRefusalOfPeer(error: unknown): boolean {
  return error instanceof LvmsyncError && error.cause === REFUSED_THERE;
}

export function refusalOf(error: unknown): Refusal {
  if (!(error instanceof LvmsyncError)) {
    return { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) };
  }
  const { code, message, hint } = error;
  return { code, message, ...(hint !== undefined && { hint }) };
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_EXIT_CODES, code);
}

/** A peer's words without anything that could move the cursor of a terminal. */
export function printable(words: string): string {
  return words.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ').slice(0, 2000);
}

function parseObject(payload: Buffer): Fields {
  let value: unknown;
  try {
    value = JSON.parse(payload.toString('utf8'));
  } catch {
    throw damaged('a record does not hold the JSON that it should');
  }
  if (!isFields(value)) throw damaged('a record does not hold the JSON object that it should');
  return value;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function object(fields: Fields, name: string): Fields {
  const value = fields[name];
  if (!isFields(value)) throw malformed(name);
  return value;
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw malformed(name);
  return value;
}

function count(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw malformed(name);
  return value;
}

function capabilities(fields: Fields): Capability[] {
  const value = fields.capabilities;
  if (!Array.isArray(value)) throw malformed('capabilities');
  return CAPABILITIES.filter((capability) => value.includes(capability));
}

/** 32 bytes in hexadecimal. */
function secret(fields: Fields, name: string): string {
  const value = text(fields, name);
  if (!/^[0-9a-f]{64}$/.test(value)) throw malformed(name);
  return value;
}

function totals(fields: Fields): Totals {
  const digest = text(fields, 'digest');
  if (!/^[0-9a-f]{64}$/.test(digest)) throw malformed('digest');
  return { records: count(fields, 'records'), dataBytes: count(fields, 'dataBytes'), digest };
}

function malformed(name: string): LvmsyncError {
  return damaged(`a record has no proper "${name}"`);
}
