/** Restores from PROTO[3] snapbacks, those of an original lvmsync among them. */
import { type FileHandle, open } from 'node:fs/promises';
import { addPiece, createBatch } from '../block/batch.js';
import type { BlockFile, Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import { PROTO3_HEADER_BYTES } from '../stream/proto3.js';
import { createWriteQueue } from './write-queue.js';

/** So many records are looked up at a time, on the way back from the last to the first. */
const SEGMENT_RECORDS = 4096;
const WINDOW_BYTES = 1 << 20;
const TWO_32 = 2 ** 32;

export interface ClassicSnapback {
  records: number;
  dataBytes: number;
  /** Where the last byte lies on the target. */
  highestEnd: number;
  /** What is left of a record that was cut. */
  tornBytes: number;
  /** Where in the file every so many records begin. */
  segments: number[];
}

/** Looks through the headers of all records, from `startBytes`, behind the label, on. */
export async function readClassicSnapback(
  path: string,
  startBytes: number,
): Promise<ClassicSnapback> {
  const found: ClassicSnapback = {
    records: 0,
    dataBytes: 0,
    highestEnd: 0,
    tornBytes: 0,
    segments: [],
  };
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const end = await eachRecord(file, startBytes, size, (position, offset, length) => {
      if (found.records % SEGMENT_RECORDS === 0) {
        found.segments.push(position - PROTO3_HEADER_BYTES);
      }
      found.records++;
      found.dataBytes += length;
      found.highestEnd = Math.max(found.highestEnd, offset + length);
      return true;
    });
    found.tornBytes = size - end;
    return found;
  } finally {
    await file.close();
  }
}

/**
 * Writes the records last to first: where an original lvmsync saved an offset twice, the first
 * record has what was there before the run.
 *
 * @param proceed called before each write; it throws when the work is to stop
 */
export async function restoreClassicSnapback(
  path: string,
  { segments }: ClassicSnapback,
  target: BlockFile,
  engine: Engine,
  proceed: () => void,
): Promise<void> {
  const queue = createWriteQueue(target);
  const batch = createBatch(engine.allocate(WINDOW_BYTES), WINDOW_BYTES / 512);
  const positions = new Float64Array(batch.offsets.length); // in the file
  let used = 0;
  const file = await open(path, 'r');

  async function write(): Promise<void> {
    proceed();
    for (let i = 0; i < batch.count; i++) {
      const { bytesRead } = await file.read(
        batch.buffer,
        batch.positions[i]!,
        batch.lengths[i]!,
        positions[i]!,
      );
      if (bytesRead !== batch.lengths[i]!) throw shrunk(path);
    }
    if (batch.count > 0) await (await queue.start(batch)).finished;
    await queue.drain();
    batch.count = 0;
    used = 0;
  }

  async function add(position: number, offset: number, length: number): Promise<void> {
    for (let done = 0; done < length; ) {
      if (used === WINDOW_BYTES || batch.count === positions.length) await write();
      const part = Math.min(length - done, WINDOW_BYTES - used);
      positions[batch.count] = position + done;
      addPiece(batch, offset + done, part, used);
      used += part;
      done += part;
    }
  }

  try {
    const { size } = await file.stat();
    for (const start of segments.toReversed()) {
      const records: [position: number, offset: number, length: number][] = [];
      await eachRecord(file, start, size, (...record) => {
        records.push(record);
        return records.length < SEGMENT_RECORDS;
      });
      for (const record of records.toReversed()) await add(...record);
    }
    await write();
  } finally {
    await file.close();
  }
}

/**
 * Calls `visit` with the place of each whole record's data in the file, and its offset and length
 * on the target, until it returns false.
 *
 * @returns where the first record begins that is not whole, or the end of the file
 */
async function eachRecord(
  file: FileHandle,
  start: number,
  sizeBytes: number,
  visit: (position: number, offset: number, length: number) => boolean,
): Promise<number> {
  const window = Buffer.alloc(Math.min(WINDOW_BYTES, Math.max(sizeBytes, PROTO3_HEADER_BYTES)));
  let windowStart = 0;
  let windowBytes = 0;
  let at = start;
  while (at + PROTO3_HEADER_BYTES <= sizeBytes) {
    if (at < windowStart || at + PROTO3_HEADER_BYTES > windowStart + windowBytes) {
      windowStart = at;
      windowBytes = (await file.read(window, 0, window.length, at)).bytesRead;
      if (windowBytes < PROTO3_HEADER_BYTES) return at;
    }
    const header = at - windowStart;
    const offset = window.readUInt32BE(header) * TWO_32 + window.readUInt32BE(header + 4);
    const length = window.readUInt32BE(header + 8);
    const position = at + PROTO3_HEADER_BYTES;
    if (position + length > sizeBytes) return at;
    at = position + length;
    if (!visit(position, offset, length)) return at;
  }
  return at;
}

function shrunk(path: string): LvmsyncError {
  return new LvmsyncError('READ_FAILED', `${path} has become shorter while it was read`, {
    path,
    hint: 'look for another copy of the file',
  });
}
