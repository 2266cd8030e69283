/** Lists of extents as EXTENTS records, the last of which is empty. */
import { createBlockMarks } from '../extents/block-marks.js';
import type { ExtentSource } from '../extents/extents.js';
import { createPieceCursor } from '../extents/piece-cursor.js';
import {
  createTable,
  damaged,
  fitsTable,
  MAX_RECORD_EXTENTS,
  RECORD,
  RECORD_HEADER_BYTES,
  readTable,
} from '../stream/proto4.js';
import { encodeTableRecord } from '../stream/table-record.js';
import type { RecordReader } from './record-reader.js';
import type { StreamWriter } from './stream-writer.js';

/** What the length of one extent in a table can say. */
const MAX_EXTENT_BYTES = 1 << 30;

/** @throws what the writer failed with */
export async function writeExtents(writer: StreamWriter, extents: ExtentSource): Promise<void> {
  const table = createTable();
  const pieces = createPieceCursor(extents);
  let previousEnd = 0;
  while (pieces.take(MAX_EXTENT_BYTES)) {
    const { offset, length } = pieces;
    const isFull = table.count === MAX_RECORD_EXTENTS;
    if (table.count > 0 && (isFull || !fitsTable(previousEnd, offset))) {
      await writer.write(encodeTableRecord(RECORD.extents, table));
      table.count = 0;
    }
    table.offsets[table.count] = offset;
    table.lengths[table.count] = length;
    table.count++;
    previousEnd = offset + length;
  }
  if (table.count > 0) await writer.write(encodeTableRecord(RECORD.extents, table));
  table.count = 0;
  await writer.write(encodeTableRecord(RECORD.extents, table));
}

export interface ReadExtentsOptions {
  volumeBytes: number;
  /** What an extent has a part in belongs to the list as a whole block. */
  blockBytes: number;
}

/** @throws LvmsyncError STREAM_DAMAGED, PAST_END, and what the reader throws */
export async function readExtents(
  reader: RecordReader,
  { volumeBytes, blockBytes }: ReadExtentsOptions,
): Promise<ExtentSource> {
  const marks = createBlockMarks(volumeBytes, blockBytes);
  const table = createTable();
  for (;;) {
    const header = await reader.nextHeader();
    if (header?.type === RECORD.alive) {
      await reader.readOwnBody();
      continue;
    }
    if (header?.type !== RECORD.extents || header.payloadBytes > 0) {
      throw damaged('a list of extents breaks off');
    }
    const { prologue } = await reader.readOwnBody();
    if (header.extentCount === 0) return marks.toExtents();
    readTable(prologue, RECORD_HEADER_BYTES, header, volumeBytes, table);
    for (let i = 0; i < table.count; i++) marks.mark(table.offsets[i]!, table.lengths[i]!);
  }
}
