/** PROTO[4] records: layout, types and limits, as docs/protocol.md has them. No I/O. */

import { crc32c } from '../checksum/crc32c.js';
import { LvmsyncError } from '../errors.js';

export const RECORD_HEADER_BYTES = 32;
export const TABLE_ENTRY_BYTES = 8;
export const MAX_RECORD_EXTENTS = 1024;
export const MAX_PAYLOAD_BYTES = 4 << 20;
export const MAX_JSON_BYTES = 64 << 10;
/** Room in front of a payload for the header and the longest table. */
export const MAX_PROLOGUE_BYTES = RECORD_HEADER_BYTES + MAX_RECORD_EXTENTS * TABLE_ENTRY_BYTES;
/** Where payloads lie in their buffers: O_DIRECT takes them from there without a copy. */
export const PAYLOAD_POSITION = Math.ceil(MAX_PROLOGUE_BYTES / 4096) * 4096;
/** Of a buffer for any record. */
export const RECORD_BUFFER_BYTES = PAYLOAD_POSITION + MAX_PAYLOAD_BYTES;

export const RECORD = {
  hello: 1,
  accept: 2,
  refuse: 3,
  check: 4,
  checked: 5,
  open: 6,
  opened: 7,
  join: 8,
  extents: 9,
  data: 16,
  zero: 17,
  discard: 18,
  end: 19,
  receipt: 20,
  prepared: 21,
  commit: 22,
  confirm: 23,
  alive: 129,
  durable: 130,
} as const;

export type RecordType = (typeof RECORD)[keyof typeof RECORD];

export const ENCODING = { plain: 0, zstd: 1 } as const;

/** Types from here on may be skipped by who does not know them. */
const FIRST_SKIPPABLE_TYPE = 128;
const GAP_UNIT_BYTES = 512;
const MAX_U32 = 0xffff_ffff;
const TWO_32 = 2 ** 32;

const TYPES = new Set<number>(Object.values(RECORD));
const TYPES_WITH_TABLE = new Set<number>([
  RECORD.check,
  RECORD.checked,
  RECORD.extents,
  RECORD.data,
  RECORD.zero,
  RECORD.discard,
]);
/** An empty table of theirs says something too. */
const TYPES_WITH_EMPTY_TABLE = new Set<number>([RECORD.checked, RECORD.extents]);
const BULK_TYPES = new Set<number>([RECORD.check, RECORD.data]);

/** A record's header, decoded. */
export interface RecordHeader {
  /** A `RecordType`, or an unknown one that may be skipped. */
  type: number;
  encoding: number;
  extentCount: number;
  /** Bytes of payload on the wire. */
  payloadBytes: number;
  /** Offset of the first extent. */
  offset: number;
  /** Bytes of payload once decoded. */
  decodedBytes: number;
  /** Of table and payload, as sent. */
  bodyCrc: number;
}

/** Whether a record of this type is to be passed over. */
export function isSkippable(type: number): boolean {
  return !TYPES.has(type) && type >= FIRST_SKIPPABLE_TYPE;
}

/** Writes the header's 32 bytes at `position`, its own checksum included. */
export function writeRecordHeader(buffer: Buffer, position: number, header: RecordHeader): void {
  buffer.writeUInt8(header.type, position);
  buffer.writeUInt8(header.encoding, position + 1);
  buffer.writeUInt16BE(header.extentCount, position + 2);
  buffer.writeUInt32BE(header.payloadBytes, position + 4);
  buffer.writeUInt32BE(Math.floor(header.offset / TWO_32), position + 8);
  buffer.writeUInt32BE(header.offset % TWO_32, position + 12);
  buffer.writeUInt32BE(header.decodedBytes, position + 16);
  buffer.writeUInt32BE(header.bodyCrc, position + 20);
  buffer.writeUInt32BE(0, position + 24);
  buffer.writeUInt32BE(crc32c(buffer.subarray(position, position + 28)), position + 28);
}

/**
 * Reads and checks the header at `position`.
 *
 * @throws LvmsyncError STREAM_DAMAGED, or STREAM_UNKNOWN for a type that may not be skipped
 */
export function readRecordHeader(buffer: Buffer, position: number): RecordHeader {
  const crc = crc32c(buffer.subarray(position, position + 28));
  if (crc !== buffer.readUInt32BE(position + 28))
    throw damaged('the checksum of a record header is wrong');
  const header: RecordHeader = {
    type: buffer.readUInt8(position),
    encoding: buffer.readUInt8(position + 1),
    extentCount: buffer.readUInt16BE(position + 2),
    payloadBytes: buffer.readUInt32BE(position + 4),
    offset: buffer.readUInt32BE(position + 8) * TWO_32 + buffer.readUInt32BE(position + 12),
    decodedBytes: buffer.readUInt32BE(position + 16),
    bodyCrc: buffer.readUInt32BE(position + 20),
  };
  if (buffer.readUInt32BE(position + 24) !== 0) {
    throw damaged('a record header has something where there has to be nothing');
  }
  checkHeader(header);
  return header;
}

function checkHeader(header: RecordHeader): void {
  const { type, encoding, extentCount, payloadBytes, decodedBytes, offset } = header;
  const known = TYPES.has(type);
  if (!known && type < FIRST_SKIPPABLE_TYPE) {
    throw new LvmsyncError('STREAM_UNKNOWN', `the stream has a record of unknown type ${type}`, {
      hint: 'use the same version of lvmsync on both ends',
    });
  }
  const payloadLimit = !known || BULK_TYPES.has(type) ? MAX_PAYLOAD_BYTES : MAX_JSON_BYTES;
  if (payloadBytes > payloadLimit || decodedBytes > payloadLimit || payloadBytes > decodedBytes) {
    throw damaged(
      `a record of type ${type} has a payload of ${payloadBytes}, decoded ${decodedBytes} bytes, which is beyond its limit`,
    );
  }
  if (extentCount > MAX_RECORD_EXTENTS || !Number.isSafeInteger(offset)) {
    throw damaged(
      `a record of type ${type} has ${extentCount} extents from offset ${offset}, which is beyond the limit`,
    );
  }
  if (known && (offset % GAP_UNIT_BYTES !== 0 || (extentCount === 0 && offset !== 0))) {
    throw damaged(`a record of type ${type} with ${extentCount} extents has the offset ${offset}`);
  }
  if (encoding === ENCODING.plain && payloadBytes !== decodedBytes) {
    throw damaged(`a plain payload of ${payloadBytes} bytes claims to be ${decodedBytes}`);
  }
  if (known && encoding > (type === RECORD.data ? ENCODING.zstd : ENCODING.plain)) {
    throw damaged(`a record of type ${type} has the unknown encoding ${encoding}`);
  }
  const mayBeEmpty = extentCount === 0 && TYPES_WITH_EMPTY_TABLE.has(type);
  if (known && extentCount > 0 !== TYPES_WITH_TABLE.has(type) && !mayBeEmpty) {
    throw damaged(`a record of type ${type} has ${extentCount} extents`);
  }
}

/** Extents of one record: sorted byte ranges, as a list of offsets and lengths. */
export interface TableExtents {
  count: number;
  readonly offsets: Float64Array;
  readonly lengths: Uint32Array;
}

/** An empty one, with room for as many as a record can have. */
export function createTable(): TableExtents {
  return {
    count: 0,
    offsets: new Float64Array(MAX_RECORD_EXTENTS),
    lengths: new Uint32Array(MAX_RECORD_EXTENTS),
  };
}

/** Whether an extent from `offset` can stand in a table after one that ends at `previousEnd`. */
export function fitsTable(previousEnd: number, offset: number): boolean {
  const gap = offset - previousEnd;
  return gap >= 0 && gap % GAP_UNIT_BYTES === 0 && gap / GAP_UNIT_BYTES <= MAX_U32;
}

/**
 * Writes the table of ascending extents that `fitsTable` has passed.
 *
 * @returns the table's bytes
 * @throws RangeError when a gap is less than nothing, or more than its four bytes hold
 */
export function writeTable(buffer: Buffer, position: number, extents: TableExtents): number {
  const view = viewOf(buffer);
  let previousEnd = extents.offsets[0] ?? 0;
  let at = position;
  for (let i = 0; i < extents.count; i++) {
    const offset = extents.offsets[i]!;
    const gap = (offset - previousEnd) / GAP_UNIT_BYTES;
    if (!(gap >= 0 && gap <= MAX_U32)) throw new RangeError('the extents do not ascend');
    view.setUint32(at, gap);
    view.setUint32(at + 4, extents.lengths[i]!);
    previousEnd = offset + extents.lengths[i]!;
    at += TABLE_ENTRY_BYTES;
  }
  return at - position;
}

/**
 * Reads the table of a record into `extents`.
 *
 * @param limitBytes size of what the extents are for
 * @returns the sum of the lengths
 * @throws LvmsyncError STREAM_DAMAGED, PAST_END
 */
export function readTable(
  buffer: Buffer,
  position: number,
  header: RecordHeader,
  limitBytes: number,
  extents: TableExtents,
): number {
  const view = viewOf(buffer);
  let end = header.offset;
  let totalBytes = 0;
  extents.count = 0;
  for (let i = 0; i < header.extentCount; i++) {
    const at = position + i * TABLE_ENTRY_BYTES;
    const gap = view.getUint32(at) * GAP_UNIT_BYTES;
    const length = view.getUint32(at + 4);
    if (length === 0 || (i === 0 && gap !== 0)) throw damaged('a record has a malformed table');
    const offset = end + gap;
    end = offset + length;
    if (end > limitBytes) {
      throw new LvmsyncError(
        'PAST_END',
        `a record's extent (offset ${offset}, ${length} bytes) ends beyond the target's ${limitBytes} bytes`,
        { offset, hint: 'the target is smaller than the source' },
      );
    }
    extents.offsets[i] = offset;
    extents.lengths[i] = length;
    totalBytes += length;
  }
  extents.count = header.extentCount;
  return totalBytes;
}

/** Faster than the methods of a Buffer, where a function has not run often. */
function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length);
}

export function damaged(message: string): LvmsyncError {
  return new LvmsyncError('STREAM_DAMAGED', message, {
    hint: 'the bytes were changed on the way or in a file; run it again, and look for the cause if it recurs',
  });
}
