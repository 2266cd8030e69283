/** Every record of a PROTO[4] stream, a spool or an undo log, checked as a receiver checks it. */
import { type Batch, createBatch } from '../block/batch.js';
import type { Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import type { ByteSource } from '../stream/bytes.js';
import { createTransferDigest, type TransferDigest } from '../stream/digest.js';
import { parseSenderHello, parseTotals, sameTotals } from '../stream/messages.js';
import {
  damaged,
  ENCODING,
  MAX_RECORD_EXTENTS,
  PAYLOAD_POSITION,
  RECORD,
  RECORD_BUFFER_BYTES,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  readTable,
} from '../stream/proto4.js';
import { zstdAvailable, zstdDecompress } from '../stream/zstd.js';
import { createRecordReader, type RecordBody, truncated } from '../transport/record-reader.js';
import { type Findings, type InspectedHeader, interruptedRead } from './inspect-findings.js';
import { incomplete } from './transfer.js';
import { parseLogHello, parseMark } from './undo-log-format.js';
import { readUndoLog } from './undo-log-reader.js';

/**
 * From behind the label on.
 *
 * @param path of what is a file: of an undo log there, a torn end is told from damage
 * @throws LvmsyncError STREAM_TRUNCATED, STREAM_DAMAGED, STREAM_UNKNOWN, PAST_END, and of reading
 */
export async function inspectProto4(
  source: ByteSource,
  found: Findings,
  engine: Engine,
  { path, signal }: { path: string | undefined; signal: AbortSignal | undefined },
): Promise<void> {
  const reader = createRecordReader(source, engine);
  const buffer = Buffer.alloc(RECORD_BUFFER_BYTES);
  const batch = createBatch(buffer, MAX_RECORD_EXTENTS);
  const digest = createTransferDigest();

  async function next(): Promise<{ header: RecordHeader; body: RecordBody } | undefined> {
    const header = await reader.nextHeader();
    if (header === undefined) return undefined;
    return { header, body: await reader.readBody(buffer, PAYLOAD_POSITION) };
  }

  const hello = await next();
  if (hello === undefined) throw truncated('before it says what it is');
  if (hello.header.type !== RECORD.hello) throw damaged('it does not begin with a hello');
  const header = readHello(hello.body.payload, found);
  found.wholeBytes = found.fileBytes;
  if (header.log !== undefined && path !== undefined)
    return inspectLogFile(path, found, engine, signal);

  for (;;) {
    const record = await next();
    if (record === undefined) {
      if (header.log === undefined) throw truncated('before its end record');
      found.state = 'unended';
      return;
    }
    const { type } = record.header;
    if (type === RECORD.end) {
      checkEnd(record.body.payload, found, header, digest);
      break;
    }
    if (type === RECORD.durable && header.log !== undefined) {
      checkMark(record.body.payload, found, header.log.id);
    } else if (type !== RECORD.alive && type !== RECORD.durable) {
      await takeRecord(record, batch, header, found);
      digest.add(record.body.prologue);
    }
    found.wholeBytes = found.fileBytes;
  }
  found.wholeBytes = found.fileBytes;
  if ((await source.read(buffer)) > 0) throw damaged('something follows the end record');
  found.state = 'whole';
}

function readHello(payload: Buffer, found: Findings): InspectedHeader {
  const { version, source } = parseSenderHello(payload);
  const log = parseLogHello(payload);
  found.kind = log !== undefined ? 'undo-log' : isSpool(payload) ? 'spool' : 'stream';
  const { id, sizeBytes, chunkBytes, extents } = source;
  found.header = {
    version,
    id,
    sizeBytes,
    chunkBytes,
    announced:
      found.kind === 'stream'
        ? { extentCount: extents.count, dataBytes: extents.bytes }
        : undefined,
    log: log && { id: log.log, begunAtMs: log.begunAtMs },
  };
  return found.header;
}

/** The hello has been parsed: it is an object. */
function isSpool(payload: Buffer): boolean {
  const { spool } = JSON.parse(payload.toString('utf8')) as { spool?: unknown };
  return typeof spool === 'object' && spool !== null;
}

async function takeRecord(
  { header, body }: { header: RecordHeader; body: RecordBody },
  batch: Batch,
  { sizeBytes }: InspectedHeader,
  found: Findings,
): Promise<void> {
  const { type, decodedBytes, encoding } = header;
  const kind = type === RECORD.data ? 'data' : type === RECORD.zero ? 'zero' : 'discard';
  if (kind === 'discard' && type !== RECORD.discard) {
    throw damaged(`a file does not hold records of type ${type}`);
  }
  const totalBytes = readTable(body.prologue, RECORD_HEADER_BYTES, header, sizeBytes, batch);
  if (decodedBytes !== (kind === 'data' ? totalBytes : 0)) {
    throw damaged('the extents and the payload of a record disagree');
  }
  if (encoding === ENCODING.zstd) {
    found.compressedRecords++;
    if (zstdAvailable) await zstdDecompress(body.payload, decodedBytes);
    else found.undecodedRecords++;
  }
  found.records[kind]++;
  count(batch, found);
}

function count(batch: Batch, found: Findings): void {
  found.extentCount += batch.count;
  for (let i = 0; i < batch.count; i++) {
    found.dataBytes += batch.lengths[i]!;
    found.coverage.add(batch.offsets[i]!, batch.lengths[i]!);
  }
}

function checkEnd(
  payload: Buffer,
  found: Findings,
  { log }: InspectedHeader,
  digest: TransferDigest,
): void {
  if (log !== undefined) checkMark(payload, found, log.id);
  const { data, zero, discard } = found.records;
  const records = data + zero + discard;
  const totals = { records, dataBytes: found.dataBytes, digest: digest.hex() };
  const sent = parseTotals(payload);
  if (!sameTotals(sent, totals)) throw incomplete(sent, totals);
}

/** A mark stands behind what it is about: otherwise something is missing in between. */
function checkMark(payload: Buffer, found: Findings, log: string): void {
  const mark = parseMark(payload);
  if (mark.log !== log) throw damaged('a mark is of another log');
  if (mark.bytes > found.wholeBytes) throw damaged('a part of the log is missing');
}

/** As a rollback reads it. */
async function inspectLogFile(
  path: string,
  found: Findings,
  engine: Engine,
  signal: AbortSignal | undefined,
): Promise<void> {
  const log = await readUndoLog(path, engine, (extents) => {
    if (signal?.aborted) throw interruptedRead(path);
    found.records.data++;
    count(extents, found);
  }).catch((error) => {
    if (error instanceof Error && 'offset' in error && typeof error.offset === 'number') {
      found.wholeBytes = error.offset;
    }
    throw error instanceof LvmsyncError && error.cause instanceof LvmsyncError
      ? damaged(error.cause.message)
      : error;
  });
  if (log === undefined) throw damaged('it has become another file while it was read');
  found.wholeBytes = log.wholeBytes;
  found.fileBytes = log.wholeBytes + log.tornBytes;
  found.state = log.ended ? 'whole' : 'unended';
  if (log.tornBytes > 0) {
    const message = 'the record that was being written when its run was cut';
    found.problem = { message, offset: log.wholeBytes };
  }
}
