/**
 * The snapback as an undo log: what the target held before it was overwritten, in whole blocks,
 * each at its first overwrite only, durable before that overwrite. docs/protocol.md has the format.
 */
import { randomBytes } from 'node:crypto';
import { addPiece, type Batch, createBatch, type Ranges } from '../block/batch.js';
import { createBufferPool } from '../block/buffer-pool.js';
import type { BlockFile, Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import { createTransferDigest } from '../stream/digest.js';
import { PROTO4_HANDSHAKE } from '../stream/handshake.js';
import {
  ENCODING,
  fitsTable,
  MAX_RECORD_EXTENTS,
  PAYLOAD_POSITION,
  RECORD,
  RECORD_BUFFER_BYTES,
  RECORD_HEADER_BYTES,
  TABLE_ENTRY_BYTES,
  writeRecordHeader,
  writeTable,
} from '../stream/proto4.js';
import { type AppendFile, openAppendFile } from './append-file.js';
import { type BlockSet, createBlockSet } from './block-set.js';
import type { Snapback } from './snapback.js';
import { encodeLogEnd, encodeLogHello, encodeMark, LOG_BLOCK_BYTES } from './undo-log-format.js';
import { readUndoLog } from './undo-log-reader.js';

/** Records of pre-images that are read and appended at the same time. */
const BUFFER_COUNT = 4;

export interface UndoLogOptions {
  path: string;
  target: BlockFile;
  /** As `identify` gives it. */
  targetId: string;
  engine: Engine;
  version: string;
  onWarning?: ((line: string) => void) | undefined;
}

/**
 * Creates the log, or goes on with the one that an interrupted run on the same target left: it
 * then still leads back to what there was before that run.
 *
 * @throws LvmsyncError OPEN_FAILED; also when the file holds anything else, since that may be the
 *   only way back from an earlier run
 */
export async function createUndoLog(options: UndoLogOptions): Promise<Snapback> {
  const { path, target, engine } = options;
  const file = await openAppendFile({
    path,
    what: 'the snapback',
    hint: 'nothing was overwritten that is not in the snapback; free some space or name another file',
  });
  const saved = createBlockSet();
  const { log, totals } = await begin(file, saved, options).catch(async (error) => {
    await file.close();
    throw error;
  });
  const pool = createBufferPool(engine, { bufferBytes: RECORD_BUFFER_BYTES, count: BUFFER_COUNT });
  let lastLayout: Promise<void> = Promise.resolve();
  const underWay = new Set<Promise<void>>();
  let syncing: Promise<void> | undefined;
  let savedBytes = file.bytes; // up to the end of the last pre-image
  let durableBytes = file.bytes;
  let failure: { error: unknown } | undefined;

  /** Reads the pre-images of one record, and appends it. */
  async function save(batch: Batch): Promise<void> {
    const { buffer, count } = batch;
    await target.read(batch);
    const tablePosition = PAYLOAD_POSITION - count * TABLE_ENTRY_BYTES;
    const start = tablePosition - RECORD_HEADER_BYTES;
    const end = batch.positions[count - 1]! + batch.lengths[count - 1]!;
    const payloadBytes = end - PAYLOAD_POSITION;
    writeTable(buffer, tablePosition, batch);
    writeRecordHeader(buffer, start, {
      type: RECORD.data,
      encoding: ENCODING.plain,
      extentCount: count,
      payloadBytes,
      offset: batch.offsets[0]!,
      decodedBytes: payloadBytes,
      bodyCrc: await engine.crc32c(buffer.subarray(tablePosition, end)),
    });
    await file.append(buffer.subarray(start, end));
    savedBytes = file.bytes;
    totals.digest.add(buffer.subarray(start, PAYLOAD_POSITION));
    totals.records++;
    totals.dataBytes += payloadBytes;
  }

  function startSave(batch: Batch): void {
    const work = orFail(() => save(batch))
      .catch(() => undefined)
      .finally(() => {
        underWay.delete(work);
        pool.release(batch.buffer);
      });
    underWay.add(work);
  }

  /** Starts saving what is not saved yet of the blocks that the pieces touch. */
  async function layOut(overwritten: Ranges): Promise<void> {
    let batch: Batch | undefined;
    for (let i = 0; i < overwritten.count; i++) {
      const overwrittenEnd = overwritten.offsets[i]! + overwritten.lengths[i]!;
      const first = Math.floor(overwritten.offsets[i]! / LOG_BLOCK_BYTES);
      for (let block = first; block * LOG_BLOCK_BYTES < overwrittenEnd; block++) {
        if (saved.has(block)) continue;
        saved.add(block);
        const offset = block * LOG_BLOCK_BYTES;
        const length = Math.min(LOG_BLOCK_BYTES, target.sizeBytes - offset);
        if (batch !== undefined && addBlock(batch, offset, length)) continue;
        if (batch !== undefined) startSave(batch);
        batch = createBatch(await pool.acquire(), MAX_RECORD_EXTENTS);
        addBlock(batch, offset, length);
      }
    }
    if (batch !== undefined) startSave(batch);
  }

  async function syncOnce(): Promise<void> {
    const bytes = file.bytes;
    await file.sync();
    durableBytes = bytes;
    await file.append(encodeMark({ log, bytes }));
  }

  /** A log that has failed once is never relied upon again. */
  async function orFail(act: () => Promise<void>): Promise<void> {
    try {
      if (failure === undefined) return await act();
    } catch (error) {
      failure ??= { error };
    }
    throw failure.error;
  }

  /** Those who wait while one fdatasync runs share the next one. */
  async function makeDurable(bytes: number): Promise<void> {
    while (durableBytes < bytes) {
      syncing ??= syncOnce().finally(() => {
        syncing = undefined;
      });
      await syncing;
    }
  }

  return {
    async protect(overwritten) {
      const layout = lastLayout.then(() => orFail(() => layOut(overwritten)));
      lastLayout = layout.catch(() => undefined);
      await layout;
      // Also what others are saving: this batch may overwrite some of those blocks too.
      await Promise.all(underWay);
      await orFail(() => makeDurable(savedBytes));
    },
    async complete() {
      await lastLayout;
      await Promise.all(underWay);
      await orFail(() => makeDurable(savedBytes));
      const { records, dataBytes, digest } = totals;
      const whole = { records, dataBytes, digest: digest.hex() };
      await file.append(encodeLogEnd({ log, bytes: file.bytes }, whole));
      await file.sync();
    },
    async close() {
      await lastLayout;
      await Promise.all(underWay);
      await syncing?.catch(() => undefined);
      await file.close();
    },
  };
}

/** Adds a block to a record's pieces; false when the record is full. */
function addBlock(batch: Batch, offset: number, length: number): boolean {
  const last = batch.count - 1;
  if (last < 0) {
    addPiece(batch, offset, length, PAYLOAD_POSITION);
    return true;
  }
  const lastEnd = batch.offsets[last]! + batch.lengths[last]!;
  const position = batch.positions[last]! + batch.lengths[last]!;
  if (position + length > batch.buffer.length) return false;
  if (lastEnd === offset) {
    batch.lengths[last]! += length;
    return true;
  }
  if (batch.count === MAX_RECORD_EXTENTS || !fitsTable(lastEnd, offset)) return false;
  addPiece(batch, offset, length, position);
  return true;
}

/** Writes the beginning of a log, or reads what there is of it. */
async function begin(file: AppendFile, saved: BlockSet, options: UndoLogOptions) {
  const { path, target, targetId, engine, version, onWarning } = options;
  if (file.bytes === 0) {
    const log = randomBytes(16).toString('hex');
    const begunAtMs = Date.now();
    const hello = {
      version,
      log,
      begunAtMs,
      target: { id: targetId, sizeBytes: target.sizeBytes },
    };
    await file.append(Buffer.from(PROTO4_HANDSHAKE), encodeLogHello(hello));
    await file.sync();
    return { log, totals: { records: 0, dataBytes: 0, digest: createTransferDigest() } };
  }
  const found = await readUndoLog(path, engine, (extents) => addBlocks(saved, extents)).catch(
    (cause) => {
      throw occupied(path, cause);
    },
  );
  const { id, sizeBytes } = found?.hello.target ?? {};
  if (found === undefined || found.ended || id !== targetId || sizeBytes !== target.sizeBytes) {
    throw occupied(path);
  }
  if (found.tornBytes > 0) await file.truncate(found.wholeBytes);
  await file.sync();
  onWarning?.(
    `going on with the snapback ${path} of an interrupted run: it leads back to before that run`,
  );
  const { records, dataBytes, digest } = found;
  return { log: found.hello.log, totals: { records, dataBytes, digest } };
}

function addBlocks(saved: BlockSet, extents: Batch): void {
  for (let i = 0; i < extents.count; i++) {
    const extentEnd = extents.offsets[i]! + extents.lengths[i]!;
    for (let offset = extents.offsets[i]!; offset < extentEnd; offset += LOG_BLOCK_BYTES) {
      saved.add(offset / LOG_BLOCK_BYTES);
    }
  }
}

function occupied(path: string, cause?: unknown): LvmsyncError {
  return new LvmsyncError('OPEN_FAILED', `the snapback ${path} is there already and holds data`, {
    path,
    hint: 'it may be the only way back from an earlier run: name another file, or move it away',
    ...(cause !== undefined && { cause }),
  });
}
