import { addPiece, type Batch } from '../block/batch.js';
import type { Engine } from '../block/engine.js';
import { crc32c } from '../checksum/crc32c.js';
import type { ExtentSource } from '../extents/extents.js';
import { createMarkedCursor } from '../extents/marked-cursor.js';
import type { TransferDigest } from '../stream/digest.js';
import {
  createTable,
  ENCODING,
  fitsTable,
  MAX_PAYLOAD_BYTES,
  MAX_RECORD_EXTENTS,
  PAYLOAD_POSITION,
  RECORD,
  RECORD_BUFFER_BYTES,
  RECORD_HEADER_BYTES,
  TABLE_ENTRY_BYTES,
  type TableExtents,
  writeRecordHeader,
  writeTable,
} from '../stream/proto4.js';
import { encodeTableRecord } from '../stream/table-record.js';
import type { Encoder, Sealed } from './encoder.js';

/** What is looked at for zeroes, and the unit in which they are left out. */
const ZERO_BLOCK_BYTES = 4096;
/** A compressed payload is sent when it saves at least this part. */
const WORTHWHILE = 15 / 16;

/** A longer discard is several; beyond 4 GiB a length would not fit. */
const MAX_DISCARD_BYTES = 2 ** 30;

/** Compresses a payload off the main thread. */
export type Compress = (payload: Buffer) => Promise<Buffer>;

export interface Proto4EncoderOptions {
  extents: Pick<ExtentSource, 'slices'>;
  /** What of the extents was discarded: it is not read. */
  discarded?: ExtentSource | undefined;
  engine: Pick<Engine, 'crc32c' | 'examine'>;
  /** Every record is added to it. */
  digest: TransferDigest;
  /** How many bytes the next records may have, at the most; as many as there can be unless said. */
  recordBytes?: (() => number) | undefined;
  compress?: Compress | undefined;
}

/**
 * PROTO[4] records of all extents, ascending: the bytes of a batch's pieces side by side behind one
 * header and one table. Blocks of zeroes become ZERO records, discarded extents DISCARD records.
 */
export function createProto4Encoder(options: Proto4EncoderOptions): Encoder {
  const { extents, discarded, engine, digest, compress } = options;
  const { recordBytes = () => MAX_PAYLOAD_BYTES } = options;
  const pieces = createMarkedCursor(extents, discarded);
  /** What lies between the pieces of a batch and is not to be read. */
  const discards = new WeakMap<Batch, TableExtents>();
  /** Tables whose records are made. */
  const spare: TableExtents[] = [];
  let more = pieces.take(recordBytes());

  function layOut(batch: Batch): boolean {
    let end = PAYLOAD_POSITION;
    const limit = PAYLOAD_POSITION + recordBytes();
    const first = pieces.offset;
    let previousEnd = first;
    let discard: TableExtents | undefined;
    while (more && batch.count < batch.offsets.length && fitsTable(previousEnd, pieces.offset)) {
      // Zeroes between two pieces go elsewhere: the gap may become all that lies between.
      if (!fitsTable(first, pieces.offset)) break;
      if (pieces.isMarked) {
        discard ??= takeTable();
        if (discard.count === MAX_RECORD_EXTENTS) break;
        append(discard, pieces.offset, pieces.length, MAX_DISCARD_BYTES);
      } else {
        // A piece that was cut when the limit was higher has a record to itself.
        if (batch.count > 0 && end + pieces.length > limit) break;
        addPiece(batch, pieces.offset, pieces.length, end);
        end += pieces.length;
      }
      previousEnd = pieces.offset + pieces.length;
      more = pieces.take(recordBytes());
    }
    if (discard !== undefined) discards.set(batch, discard);
    return batch.count > 0 || discard !== undefined;
  }

  async function seal(batch: Batch): Promise<Sealed> {
    const { data, zeroes, bodyCrc } = await separateZeroes(batch);
    const tables = [
      { type: RECORD.data, table: data },
      { type: RECORD.zero, table: zeroes },
      { type: RECORD.discard, table: discards.get(batch) ?? takeTable() },
    ];
    const sealed: Sealed = {
      ...{ bytes: [], recordCount: 0, dataBytes: 0, endOffset: 0 },
      zeroBytes: sumOf(zeroes) + sumOf(tables[2]!.table),
    };
    // Ascending in their first offset: a receiver can tell from that how far it has got.
    for (const { type, table } of tables
      .filter(({ table }) => table.count > 0)
      .sort((one, other) => one.table.offsets[0]! - other.table.offsets[0]!)) {
      const isData = type === RECORD.data;
      const record = isData
        ? await dataRecord(batch.buffer, data, bodyCrc)
        : [encodeTableRecord(type, table)];
      add(sealed, table, record);
    }
    discards.delete(batch);
    spare.push(...tables.map(({ table }) => table));
    return sealed;
  }

  /** An empty one. */
  function takeTable(): TableExtents {
    const table = spare.pop() ?? createTable();
    table.count = 0;
    return table;
  }

  function add(sealed: Sealed, table: TableExtents, record: Buffer[]): void {
    const prologueBytes = RECORD_HEADER_BYTES + table.count * TABLE_ENTRY_BYTES;
    digest.add(record[0]!.subarray(0, prologueBytes));
    sealed.bytes.push(...record);
    sealed.recordCount++;
    sealed.dataBytes += sumOf(table);
    const last = table.count - 1;
    sealed.endOffset = Math.max(sealed.endOffset, table.offsets[last]! + table.lengths[last]!);
  }

  /**
   * Moves the data to the front of the payload, in place, and lists both kinds of ranges. Where
   * there are no zeroes the CRC of the plain record's body is known already.
   */
  async function separateZeroes(batch: Batch): Promise<Separated> {
    const whole = takeTable();
    const zeroes = takeTable();
    if (batch.count === 0) return { data: whole, zeroes };
    for (let i = 0; i < batch.count; i++) append(whole, batch.offsets[i]!, batch.lengths[i]!);
    if (!areBlocks(batch)) return { data: whole, zeroes };
    const last = batch.count - 1;
    const payloadEnd = batch.positions[last]! + batch.lengths[last]!;
    const payload = batch.buffer.subarray(PAYLOAD_POSITION, payloadEnd);
    const tableCrc = crc32c(placeTable(batch.buffer, whole));
    const isZero = await engine.examine(payload, ZERO_BLOCK_BYTES, tableCrc);
    if (typeof isZero === 'number') return { data: whole, zeroes, bodyCrc: isZero };
    const data = takeTable();
    let dataEnd = PAYLOAD_POSITION;
    for (let i = 0; i < batch.count; i++) {
      const position = batch.positions[i]!;
      for (let done = 0; done < batch.lengths[i]!; done += ZERO_BLOCK_BYTES) {
        const length = Math.min(ZERO_BLOCK_BYTES, batch.lengths[i]! - done);
        const offset = batch.offsets[i]! + done;
        const from = position + done;
        if (isZero[(from - PAYLOAD_POSITION) / ZERO_BLOCK_BYTES] === 1) {
          append(zeroes, offset, length);
        } else {
          if (from !== dataEnd) batch.buffer.copyWithin(dataEnd, from, from + length);
          dataEnd += length;
          append(data, offset, length);
        }
      }
    }
    spare.push(whole);
    return { data, zeroes };
  }

  async function dataRecord(
    buffer: Buffer,
    data: TableExtents,
    plainCrc: number | undefined,
  ): Promise<Buffer[]> {
    // Where its checksum is known it has been placed.
    const table = plainCrc === undefined ? placeTable(buffer, data) : tableOf(buffer, data);
    const start = PAYLOAD_POSITION - table.length - RECORD_HEADER_BYTES;
    const decodedBytes = sumOf(data);
    const payload = buffer.subarray(PAYLOAD_POSITION, PAYLOAD_POSITION + decodedBytes);
    const packed = await tryCompress(payload);
    const isPlain = packed === undefined;
    writeRecordHeader(buffer, start, {
      type: RECORD.data,
      encoding: isPlain ? ENCODING.plain : ENCODING.zstd,
      extentCount: data.count,
      payloadBytes: isPlain ? decodedBytes : packed.length,
      offset: data.offsets[0]!,
      decodedBytes,
      bodyCrc:
        (isPlain ? plainCrc : undefined) ?? (await engine.crc32c(packed ?? payload, crc32c(table))),
    });
    if (isPlain) return [buffer.subarray(start, PAYLOAD_POSITION + decodedBytes)];
    return [buffer.subarray(start, PAYLOAD_POSITION), packed];
  }

  async function tryCompress(payload: Buffer): Promise<Buffer | undefined> {
    if (compress === undefined) return undefined;
    const packed = await compress(payload);
    return packed.length <= payload.length * WORTHWHILE ? packed : undefined;
  }

  return { bufferBytes: RECORD_BUFFER_BYTES, layOut, seal };
}

interface Separated {
  data: TableExtents;
  zeroes: TableExtents;
  bodyCrc?: number;
}

/** Writes the table to its place in front of the payload. */
function placeTable(buffer: Buffer, extents: TableExtents): Buffer {
  const table = tableOf(buffer, extents);
  writeTable(table, 0, extents);
  return table;
}

function tableOf(buffer: Buffer, { count }: TableExtents): Buffer {
  return buffer.subarray(PAYLOAD_POSITION - count * TABLE_ENTRY_BYTES, PAYLOAD_POSITION);
}

/** Whether every piece but the last is whole blocks, so that blocks of the payload are blocks. */
function areBlocks({ count, lengths }: Batch): boolean {
  for (let i = 0; i < count - 1; i++) {
    if (lengths[i]! % ZERO_BLOCK_BYTES !== 0) return false;
  }
  return true;
}

/** Adds a range after the last one, joining the two where they touch and are not too long. */
function append(
  table: TableExtents,
  offset: number,
  length: number,
  maxBytes = Number.POSITIVE_INFINITY,
): void {
  const last = table.count - 1;
  const touches = last >= 0 && table.offsets[last]! + table.lengths[last]! === offset;
  if (touches && table.lengths[last]! + length <= maxBytes) {
    table.lengths[last]! += length;
    return;
  }
  table.offsets[table.count] = offset;
  table.lengths[table.count] = length;
  table.count++;
}

function sumOf({ count, lengths }: TableExtents): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += lengths[i]!;
  return sum;
}
