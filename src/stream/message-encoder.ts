import { crc32c } from '../checksum/crc32c.js';
import {
  ENCODING,
  MAX_JSON_BYTES,
  RECORD_HEADER_BYTES,
  type RecordType,
  writeRecordHeader,
} from './proto4.js';

/** A record without a table whose payload is `value` as JSON, or nothing. */
export function encodeMessage(type: RecordType, value?: object): Buffer {
  const payload = Buffer.from(value === undefined ? '' : JSON.stringify(value));
  if (payload.length > MAX_JSON_BYTES) throw new RangeError('a message is too long to be sent');
  const record = Buffer.alloc(RECORD_HEADER_BYTES + payload.length);
  payload.copy(record, RECORD_HEADER_BYTES);
  writeRecordHeader(record, 0, {
    type,
    encoding: ENCODING.plain,
    extentCount: 0,
    payloadBytes: payload.length,
    offset: 0,
    decodedBytes: payload.length,
    bodyCrc: crc32c(payload),
  });
  return record;
}
