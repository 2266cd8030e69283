/** Asks a receiver which extents of its target hold something else than they should. */
import type { Batch } from '../block/batch.js';
import { createBatch } from '../block/batch.js';
import { contentHash } from '../stream/content-hash.js';
import {
  MAX_RECORD_EXTENTS,
  RECORD,
  RECORD_HEADER_BYTES,
  readTable,
  TABLE_ENTRY_BYTES,
} from '../stream/proto4.js';
import { encodeTableRecord } from '../stream/table-record.js';
import type { StreamWriter } from '../transport/stream-writer.js';
import type { Answer, Inbox } from './inbox.js';

/** CHECK records that may be unanswered at a time. */
const CHECKS_IN_FLIGHT = 8;

/** Extents to ask about in one record: for each the hashes that will do. */
export interface CheckGroup {
  extents: Batch;
  hashes: Buffer[];
}

export interface CompareOptions {
  writer: StreamWriter;
  inbox: Inbox;
  /** No answer may name anything beyond it. */
  limitBytes: number;
  /** Told every extent that differs, ascending within a group. */
  onDifference(offset: number, length: number): void;
}

/** @returns how many extents were compared. @throws what the conversation fails with */
export async function compareGroups(
  groups: AsyncIterable<CheckGroup>,
  { writer, inbox, limitBytes, onDifference }: CompareOptions,
): Promise<number> {
  const unanswered: Promise<Answer>[] = [];
  const table = createBatch(Buffer.alloc(0), MAX_RECORD_EXTENTS);
  let comparedCount = 0;

  async function takeAnswer(): Promise<void> {
    const answer = await unanswered.shift();
    if (answer === undefined) return;
    const { prologue, header } = answer;
    const prologueBytes = RECORD_HEADER_BYTES + header.extentCount * TABLE_ENTRY_BYTES;
    const tablePosition = prologue.length - prologueBytes + RECORD_HEADER_BYTES;
    readTable(prologue, tablePosition, header, limitBytes, table);
    for (let i = 0; i < table.count; i++) onDifference(table.offsets[i]!, table.lengths[i]!);
  }

  for await (const { extents, hashes } of groups) {
    comparedCount += extents.count;
    unanswered.push(inbox.expect(RECORD.checked));
    await writer.write(encodeTableRecord(RECORD.check, extents, Buffer.concat(hashes)));
    if (unanswered.length === CHECKS_IN_FLIGHT) await takeAnswer();
  }
  while (unanswered.length > 0) await takeAnswer();
  return comparedCount;
}

/** The hash of a piece of a batch that has been read. */
export function hashOfPiece(batch: Batch, index: number): Buffer {
  const position = batch.positions[index]!;
  return contentHash(batch.buffer.subarray(position, position + batch.lengths[index]!));
}
