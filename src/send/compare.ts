/** Asks a receiver which extents of its target hold something else than they should. */
import type { Batch } from '../block/batch.js';
import { inTurns } from '../extents/turns.js';
import {
  createTable,
  damaged,
  RECORD,
  RECORD_HEADER_BYTES,
  readTable,
  type TableExtents,
} from '../stream/proto4.js';
import { encodeTableRecord } from '../stream/table-record.js';
import type { StreamWriter } from '../transport/stream-writer.js';
import type { Answer, Inbox } from './inbox.js';

const CHECKS_IN_FLIGHT = 8;

/** Extents to ask about in one record: for each the one or two hashes that will do, in order. */
export interface CheckGroup {
  extents: Batch;
  hashes: Buffer;
}

export interface CompareOptions {
  writer: StreamWriter;
  inbox: Inbox;
  /** No answer may name anything beyond it. */
  limitBytes: number;
  /** Told every extent that differs, ascending within a group. */
  onDifference?(offset: number, length: number): void;
  /** Told every extent that does not. */
  onEqual?(offset: number, length: number): void;
  /** Called when all has been asked. */
  onAsked?(): void;
  /** How many CHECK records may be unanswered at a time. Default: 8. */
  checksInFlight?: number | undefined;
}

/** @returns how many extents were compared. @throws what the conversation fails with */
export async function compareGroups(
  groups: AsyncIterable<CheckGroup>,
  options: CompareOptions,
): Promise<number> {
  const { writer, inbox, checksInFlight = CHECKS_IN_FLIGHT } = options;
  const unanswered: Promise<void>[] = [];
  const differing = createTable(); // of one answer at a time
  let comparedCount = 0;
  for await (const { extents, hashes } of inTurns(groups)) {
    comparedCount += extents.count;
    const asked = copyOf(extents);
    const answer = inbox
      .expect(RECORD.checked)
      .then((checked) => take(checked, asked, differing, options));
    answer.catch(() => undefined); // met when its turn comes
    unanswered.push(answer);
    await writer.write(encodeTableRecord(RECORD.check, extents, hashes));
    if (unanswered.length === checksInFlight) await unanswered.shift();
  }
  options.onAsked?.();
  await Promise.all(unanswered);
  return comparedCount;
}

function copyOf({ count, offsets, lengths }: TableExtents): TableExtents {
  return { count, offsets: offsets.slice(0, count), lengths: lengths.slice(0, count) };
}

/** @throws LvmsyncError STREAM_DAMAGED when the answer is not about what was asked */
function take(
  { prologue, header }: Answer,
  asked: TableExtents,
  differing: TableExtents,
  { limitBytes, onDifference, onEqual }: CompareOptions,
): void {
  readTable(prologue, RECORD_HEADER_BYTES, header, limitBytes, differing);
  let next = 0;
  for (let i = 0; i < asked.count; i++) {
    const offset = asked.offsets[i]!;
    const length = asked.lengths[i]!;
    const differs =
      next < differing.count &&
      differing.offsets[next] === offset &&
      differing.lengths[next] === length;
    if (differs) {
      next++;
      onDifference?.(offset, length);
    } else onEqual?.(offset, length);
  }
  if (next < differing.count) throw damaged('the receiver answered about what was not asked');
}
