/** Answers CHECK records: which extents of the target hold neither of what they should. */
import { addPiece, type Batch, createBatch } from '../block/batch.js';
import type { BlockFile, Engine } from '../block/engine.js';
import { bufferCount } from '../block/io-limits.js';
import { HASH_BYTES } from '../checksum/content-hash.js';
import {
  damaged,
  MAX_PAYLOAD_BYTES,
  MAX_RECORD_EXTENTS,
  RECORD,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  readTable,
  TABLE_ENTRY_BYTES,
} from '../stream/proto4.js';
import { encodeTableRecord } from '../stream/table-record.js';
import type { RecordReader } from '../transport/record-reader.js';

const HASHES_PER_EXTENT = [1, 2];

export interface Checker {
  /**
   * Reads the body of a CHECK record, and starts to read the target and to answer. Waits while as
   * many are in work as there are buffers for.
   *
   * @throws LvmsyncError STREAM_DAMAGED, PAST_END, and what `settle` throws
   */
  check(header: RecordHeader, reader: RecordReader): Promise<void>;
  /** Waits until every check has been answered. @throws what the engine and `answer` throw */
  settle(): Promise<void>;
}

/** What one check is worked on with. */
interface Slot {
  body: Buffer;
  content: Batch;
}

const NOTHING = Buffer.alloc(0);
const BODY_BYTES = RECORD_HEADER_BYTES + MAX_RECORD_EXTENTS * (TABLE_ENTRY_BYTES + 2 * HASH_BYTES);

export interface CheckerOptions {
  target: BlockFile;
  engine: Engine;
  /** Sends a CHECKED record; called in the order of the checks. */
  answer(checked: Buffer): Promise<void>;
  /** Told what a check fails with, since nobody may be waiting for it. */
  fail(error: unknown): void;
}

export function createChecker({ target, engine, answer, fail }: CheckerOptions): Checker {
  const maxSlots = Math.max(2, Math.floor(bufferCount(engine.limits, MAX_PAYLOAD_BYTES) / 2));
  const free: Slot[] = [];
  const inWork: Promise<void>[] = [];
  let slotCount = 0;
  let answered = Promise.resolve();

  async function acquireSlot(): Promise<Slot> {
    if (free.length === 0 && slotCount === maxSlots) await inWork[0];
    const slot = free.pop();
    if (slot !== undefined) return slot;
    slotCount++;
    return { body: Buffer.alloc(BODY_BYTES), content: createBatch(NOTHING, MAX_RECORD_EXTENTS) };
  }

  /** With room for so many bytes. Most checks are of a sample, which is small. */
  function withRoom(content: Batch, totalBytes: number): Batch {
    if (content.buffer.length >= totalBytes) return content;
    const buffer = engine.allocate(Math.min(2 * totalBytes, MAX_PAYLOAD_BYTES));
    return { ...content, buffer };
  }

  async function check(header: RecordHeader, reader: RecordReader): Promise<void> {
    const { extentCount, payloadBytes } = header;
    const hashCount = payloadBytes / HASH_BYTES / extentCount;
    if (!HASHES_PER_EXTENT.includes(hashCount))
      throw damaged('a check has a strange number of hashes');
    const slot = await acquireSlot();
    const { body } = slot;
    const payloadPosition = RECORD_HEADER_BYTES + extentCount * TABLE_ENTRY_BYTES;
    const { prologue, payload } = await reader.readBody(body, payloadPosition);
    const totalBytes = readTable(
      prologue,
      RECORD_HEADER_BYTES,
      header,
      target.sizeBytes,
      slot.content,
    );
    if (totalBytes > MAX_PAYLOAD_BYTES) throw damaged(`a check is about ${totalBytes} bytes`);
    const content = withRoom(slot.content, totalBytes);
    slot.content = content;
    for (let i = 0, position = 0; i < content.count; i++) {
      content.positions[i] = position;
      position += content.lengths[i]!;
    }
    const compared = compare(content, payload, hashCount);
    compared.catch(fail); // before those that are in work have been answered
    answered = Promise.all([compared, answered]).then(async ([checked]) => {
      free.push(slot);
      inWork.shift();
      await answer(checked);
    });
    answered.catch(fail);
    inWork.push(answered);
  }

  async function compare(content: Batch, expected: Buffer, hashCount: number): Promise<Buffer> {
    await target.read(content);
    const hashes = await engine.hashPieces(content);
    const differing = createBatch(content.buffer, MAX_RECORD_EXTENTS);
    for (let i = 0; i < content.count; i++) {
      const hash = hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES);
      const allowed = expected.subarray(
        i * hashCount * HASH_BYTES,
        (i + 1) * hashCount * HASH_BYTES,
      );
      if (!holds(allowed, hash)) addPiece(differing, content.offsets[i]!, content.lengths[i]!, 0);
    }
    return encodeTableRecord(RECORD.checked, differing);
  }

  return { check, settle: () => answered };
}

function holds(hashes: Buffer, hash: Buffer): boolean {
  for (let at = 0; at < hashes.length; at += HASH_BYTES) {
    if (hash.equals(hashes.subarray(at, at + HASH_BYTES))) return true;
  }
  return false;
}
