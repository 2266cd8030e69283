/** Reads undo logs: what of one is whole, what is a torn end, and what is damage. */
import { open } from 'node:fs/promises';
import { type Batch, createBatch } from '../block/batch.js';
import type { Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import type { ByteSource } from '../stream/bytes.js';
import { createTransferDigest, type TransferDigest } from '../stream/digest.js';
import { parseTotals } from '../stream/messages.js';
import {
  damaged,
  MAX_RECORD_EXTENTS,
  PAYLOAD_POSITION,
  RECORD,
  RECORD_BUFFER_BYTES,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  readRecordHeader,
  readTable,
} from '../stream/proto4.js';
import { openFileSource } from '../transport/byte-source.js';
import { createRecordReader, type RecordReader } from '../transport/record-reader.js';
import { readHandshake } from './read-handshake.js';
import { markPrefix, parseLogHello, parseMark, type UndoLogHello } from './undo-log-format.js';

const BAD_RECORD_CODES = new Set(['STREAM_DAMAGED', 'STREAM_TRUNCATED', 'STREAM_UNKNOWN']);

export interface UndoLog {
  hello: UndoLogHello;
  /** Records of pre-images, and their bytes. */
  records: number;
  dataBytes: number;
  digest: TransferDigest;
  /** Whether the run that wrote it came to its end. */
  ended: boolean;
  /** From the start of the file to the end of the last whole record. */
  wholeBytes: number;
  /** What is behind that: of a write that was under way when the run was cut. */
  tornBytes: number;
  /** Where the last pre-image ends on the target. */
  highestEnd: number;
}

/**
 * Reads and checks a whole log.
 *
 * A bad record is damage when a mark behind it says that it had been durable. Otherwise it is
 * the torn end of an interrupted run: nothing was overwritten yet that only it protects.
 *
 * @param visit told the extents of each record of pre-images; positions are meaningless
 * @returns undefined when the file holds a transfer of another kind
 * @throws LvmsyncError STREAM_DAMAGED with the offset in the file, STREAM_UNKNOWN,
 *   STREAM_TRUNCATED, OPEN_FAILED, READ_FAILED
 */
export async function readUndoLog(
  path: string,
  engine: Engine,
  visit: (extents: Batch) => void = () => {},
): Promise<UndoLog | undefined> {
  const file = await openFileSource(path);
  try {
    const source = counting(file);
    if ((await readHandshake(source)).protocol !== 4) return undefined;
    const reader = createRecordReader(source, engine);
    const buffer = Buffer.alloc(RECORD_BUFFER_BYTES);
    const hello = await readHello(reader, buffer, path);
    if (hello === undefined) return undefined;
    const log: UndoLog = {
      hello,
      records: 0,
      dataBytes: 0,
      digest: createTransferDigest(),
      ended: false,
      wholeBytes: source.position,
      tornBytes: 0,
      highestEnd: 0,
    };
    try {
      while (await readRecord(reader, buffer, log, visit)) log.wholeBytes = source.position;
    } catch (error) {
      if (!(error instanceof LvmsyncError) || !BAD_RECORD_CODES.has(error.code)) throw error;
      await assertTorn(path, log, error);
    }
    return log;
  } finally {
    await file.close();
  }
}

async function readHello(
  reader: RecordReader,
  buffer: Buffer,
  path: string,
): Promise<UndoLogHello | undefined> {
  try {
    const header = await reader.nextHeader();
    if (header?.type !== RECORD.hello) return undefined;
    const { payload } = await reader.readBody(buffer, PAYLOAD_POSITION);
    return parseLogHello(payload);
  } catch (cause) {
    if (!(cause instanceof LvmsyncError)) throw cause;
    throw new LvmsyncError(cause.code, `${path}: its first record cannot be read`, {
      path,
      hint: 'it does not say which target it is of, so nothing can be restored from it',
      cause,
    });
  }
}

/** Takes the next record into account; false at the end of the file. */
async function readRecord(
  reader: RecordReader,
  buffer: Buffer,
  log: UndoLog,
  visit: (extents: Batch) => void,
): Promise<boolean> {
  const header = await reader.nextHeader();
  if (header === undefined) return false;
  if (log.ended) throw damaged('there is something behind the end of the log');
  const { prologue, payload } = await reader.readBody(buffer, PAYLOAD_POSITION);
  switch (header.type) {
    case RECORD.data:
      takeData(header, prologue, log, visit);
      return true;
    case RECORD.durable:
      takeMark(payload, log);
      return true;
    case RECORD.end: {
      takeMark(payload, log);
      const { records, dataBytes, digest } = parseTotals(payload);
      const same = records === log.records && dataBytes === log.dataBytes;
      if (!same || digest !== log.digest.hex()) throw damaged('the log is not what was written');
      log.ended = true;
      return true;
    }
    default:
      throw damaged(`a log does not hold records of type ${header.type}`);
  }
}

function takeData(
  header: RecordHeader,
  prologue: Buffer,
  log: UndoLog,
  visit: (extents: Batch) => void,
): void {
  const extents = createBatch(prologue, MAX_RECORD_EXTENTS);
  const { sizeBytes } = log.hello.target;
  const totalBytes = readTable(prologue, RECORD_HEADER_BYTES, header, sizeBytes, extents);
  if (totalBytes !== header.decodedBytes) throw damaged('a record has another length than it says');
  log.digest.add(prologue);
  log.records++;
  log.dataBytes += totalBytes;
  for (let i = 0; i < extents.count; i++) {
    log.highestEnd = Math.max(log.highestEnd, extents.offsets[i]! + extents.lengths[i]!);
  }
  visit(extents);
}

/** A mark stands behind what it is about: otherwise something is missing in between. */
function takeMark(payload: Buffer, log: UndoLog): void {
  const mark = parseMark(payload);
  if (mark.log !== log.hello.log) throw damaged('a mark is of another log');
  if (mark.bytes > log.wholeBytes) throw damaged('a part of the log is missing');
}

async function assertTorn(path: string, log: UndoLog, cause: LvmsyncError): Promise<void> {
  const sizeBytes = await fileSize(path);
  const covered = log.ended || (await hasMarkOver(path, log, sizeBytes));
  if (covered) {
    throw new LvmsyncError(
      'STREAM_DAMAGED',
      `${path} is damaged at offset ${log.wholeBytes}: ${cause.message}`,
      {
        path,
        offset: log.wholeBytes,
        hint: 'the base cannot be restored whole from it; look for another copy of the file',
        cause,
      },
    );
  }
  log.tornBytes = sizeBytes - log.wholeBytes;
}

async function fileSize(path: string): Promise<number> {
  const file = await open(path, 'r');
  try {
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

const WINDOW_BYTES = 1 << 20;
/** A mark's record is shorter than this. */
const MARK_BYTES = 1024;

/** Whether a mark of this log, at `log.wholeBytes` or behind, is about bytes behind that. */
async function hasMarkOver(path: string, log: UndoLog, sizeBytes: number): Promise<boolean> {
  const prefix = Buffer.from(markPrefix(log.hello.log));
  const window = Buffer.alloc(WINDOW_BYTES + MARK_BYTES);
  const file = await open(path, 'r');
  try {
    for (let start = log.wholeBytes; start < sizeBytes; start += WINDOW_BYTES) {
      const { bytesRead } = await file.read(window, 0, window.length, start);
      const bytes = window.subarray(0, bytesRead);
      for (let at = bytes.indexOf(prefix); at >= 0; at = bytes.indexOf(prefix, at + 1)) {
        const mark = markAt(bytes, at - RECORD_HEADER_BYTES);
        if (mark !== undefined && mark > log.wholeBytes) return true;
      }
    }
    return false;
  } finally {
    await file.close();
  }
}

/** The `bytes` of the mark whose record starts at `position`, if there is a whole one. */
function markAt(window: Buffer, position: number): number | undefined {
  if (position < 0) return undefined;
  try {
    const { payloadBytes } = readRecordHeader(window, position);
    const payload = window.subarray(
      position + RECORD_HEADER_BYTES,
      position + RECORD_HEADER_BYTES + payloadBytes,
    );
    return parseMark(payload).bytes;
  } catch {
    return undefined;
  }
}

interface CountingSource extends ByteSource {
  readonly position: number;
}

function counting(source: ByteSource): CountingSource {
  let position = 0;
  return {
    description: source.description,
    get position() {
      return position;
    },
    async read(into) {
      const readBytes = await source.read(into);
      position += readBytes;
      return readBytes;
    },
  };
}
