/** Records to slip into a PROTO[4] stream, and changes to those in it, with right checksums. */
import { crc32c } from '#lvmsync/checksum/crc32c.js';
import {
  RECORD_HEADER_BYTES,
  type RecordHeader,
  readRecordHeader,
  writeRecordHeader,
} from '#lvmsync/stream/proto4.js';

/** A record of any type; what is left out is 0. The checksums and lengths are right. */
export function forgeRecord(
  fields: Partial<RecordHeader> & { type: number },
  table: Buffer = Buffer.alloc(0),
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const record = Buffer.concat([Buffer.alloc(RECORD_HEADER_BYTES), table, payload]);
  writeRecordHeader(record, 0, {
    encoding: 0,
    extentCount: table.length / 8,
    payloadBytes: payload.length,
    offset: 0,
    decodedBytes: payload.length,
    bodyCrc: crc32c(record.subarray(RECORD_HEADER_BYTES)),
    ...fields,
  });
  return record;
}

/** A DATA record of one extent. */
export function forgeData(
  type: number,
  offset: number,
  data: Buffer,
  length = data.length,
): Buffer {
  const table = Buffer.alloc(8);
  table.writeUInt32BE(length, 4);
  return forgeRecord({ type, offset }, table, data);
}

/** The record with another JSON payload: that of the first argument, changed. */
export function editMessage(record: Buffer, edit: (fields: Record<string, unknown>) => object) {
  const { type } = readRecordHeader(record, 0);
  const fields = JSON.parse(record.subarray(RECORD_HEADER_BYTES).toString()) as Record<
    string,
    unknown
  >;
  return forgeRecord({ type }, undefined, Buffer.from(JSON.stringify(edit(fields))));
}
