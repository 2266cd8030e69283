import { crc32c } from '../checksum/crc32c.js';
import {
  ENCODING,
  RECORD_HEADER_BYTES,
  type RecordType,
  TABLE_ENTRY_BYTES,
  type TableExtents,
  writeRecordHeader,
  writeTable,
} from './proto4.js';

/** A whole record of a table and a small plain payload, in a buffer of its own. */
export function encodeTableRecord(
  type: RecordType,
  extents: TableExtents,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const payloadPosition = RECORD_HEADER_BYTES + extents.count * TABLE_ENTRY_BYTES;
  const record = Buffer.allocUnsafe(payloadPosition + payload.length);
  writeTable(record, RECORD_HEADER_BYTES, extents);
  payload.copy(record, payloadPosition);
  writeRecordHeader(record, 0, {
    type,
    encoding: ENCODING.plain,
    extentCount: extents.count,
    payloadBytes: payload.length,
    offset: extents.count === 0 ? 0 : extents.offsets[0]!,
    decodedBytes: payload.length,
    bodyCrc: crc32c(record.subarray(RECORD_HEADER_BYTES)),
  });
  return record;
}
