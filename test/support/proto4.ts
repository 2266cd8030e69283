/** PROTO[4] written a second time, from docs/protocol.md alone, for the tests to compare with. */
import { createHash } from 'node:crypto';
import { crc32c } from '#lvmsync/checksum/crc32c.js';

export const LABEL = Buffer.from('lvmsync PROTO[4]\n');

export const TYPE = {
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
};

export type Extent = readonly [offset: number, length: number];

export interface TestRecord {
  type: number;
  encoding: number;
  extents: Extent[];
  payload: Buffer;
  decodedBytes: number;
}

/** What a record may say instead of what is true of it; its checksums are always right. */
export interface Lies {
  encoding?: number;
  extentCount?: number;
  payloadBytes?: number;
  offset?: bigint;
  decodedBytes?: number;
  reserved?: number;
  table?: Buffer;
}

export function encodeRecord(
  type: number,
  extents: readonly Extent[],
  payload: Buffer = Buffer.alloc(0),
  lies: Lies = {},
): Buffer {
  const table = lies.table ?? encodeTable(extents);
  const header = Buffer.alloc(32);
  header.writeUInt8(type, 0);
  header.writeUInt8(lies.encoding ?? 0, 1);
  header.writeUInt16BE(lies.extentCount ?? extents.length, 2);
  header.writeUInt32BE(lies.payloadBytes ?? payload.length, 4);
  header.writeBigUInt64BE(lies.offset ?? BigInt(extents[0]?.[0] ?? 0), 8);
  header.writeUInt32BE(lies.decodedBytes ?? payload.length, 16);
  header.writeUInt32BE(crc32c(Buffer.concat([table, payload])), 20);
  header.writeUInt32BE(lies.reserved ?? 0, 24);
  header.writeUInt32BE(crc32c(header.subarray(0, 28)), 28);
  return Buffer.concat([header, table, payload]);
}

function encodeTable(extents: readonly Extent[]): Buffer {
  const table = Buffer.alloc(extents.length * 8);
  let end = extents[0]?.[0] ?? 0;
  for (const [index, [offset, length]] of extents.entries()) {
    table.writeUInt32BE((offset - end) / 512, index * 8);
    table.writeUInt32BE(length, index * 8 + 4);
    end = offset + length;
  }
  return table;
}

export function encodeJson(type: number, value: unknown): Buffer {
  return encodeRecord(type, [], Buffer.from(JSON.stringify(value)));
}

export function encodeHello(sizeBytes: number, id = 'test'): Buffer {
  const extents = { count: 1, bytes: 4096, digest: '' };
  const source = { sizeBytes, chunkBytes: 4096, id, extents };
  return encodeJson(TYPE.hello, { version: '0', capabilities: [], source });
}

/** The END record of these DATA, ZERO and DISCARD records. */
export function encodeEnd(records: readonly Buffer[]): Buffer {
  return encodeJson(TYPE.end, totalsOf(records));
}

export function totalsOf(records: readonly Buffer[]) {
  const sums = [0n, 0n, 0n, 0n];
  let dataBytes = 0;
  for (const record of records) {
    const tableEnd = 32 + record.readUInt16BE(2) * 8;
    for (let at = 32; at + 8 <= Math.min(tableEnd, record.length); at += 8)
      dataBytes += record.readUInt32BE(at + 4);
    const hash = createHash('sha256')
      .update(record.subarray(0, 28))
      .update(record.subarray(32, tableEnd))
      .digest();
    for (const word of [0, 1, 2, 3]) {
      sums[word] = BigInt.asUintN(64, sums[word]! + hash.readBigUInt64BE(word * 8));
    }
  }
  const digest = sums.map((sum) => sum.toString(16).padStart(16, '0')).join('');
  return { records: records.length, dataBytes, digest };
}

/** A whole stream, as a file holds it. */
export function encodeTransfer(sizeBytes: number, records: readonly Buffer[], id?: string): Buffer {
  return Buffer.concat([LABEL, encodeHello(sizeBytes, id), ...records, encodeEnd(records)]);
}

/** The bytes of each record of a whole stream, label left out. Throws when it is cut short. */
export function splitStream(stream: Buffer): Buffer[] {
  if (!stream.subarray(0, LABEL.length).equals(LABEL)) throw new Error('no label');
  const records: Buffer[] = [];
  for (let at = LABEL.length; at < stream.length; ) {
    const bytes = 32 + stream.readUInt16BE(at + 2) * 8 + stream.readUInt32BE(at + 4);
    if (at + bytes > stream.length) throw new Error('the stream is cut short');
    records.push(stream.subarray(at, at + bytes));
    at += bytes;
  }
  return records;
}

/** One record, proved. Throws on any defect. */
export function decodeRecord(record: Buffer): TestRecord {
  if (crc32c(record.subarray(0, 28)) !== record.readUInt32BE(28)) throw new Error('header CRC');
  if (crc32c(record.subarray(32)) !== record.readUInt32BE(20)) throw new Error('body CRC');
  if (record.readUInt32BE(24) !== 0) throw new Error('reserved bytes');
  const extentCount = record.readUInt16BE(2);
  const tableEnd = 32 + extentCount * 8;
  const extents: Extent[] = [];
  let end = Number(record.readBigUInt64BE(8));
  for (let at = 32; at < tableEnd; at += 8) {
    const offset = end + record.readUInt32BE(at) * 512;
    const length = record.readUInt32BE(at + 4);
    extents.push([offset, length]);
    end = offset + length;
  }
  return {
    type: record.readUInt8(0),
    encoding: record.readUInt8(1),
    extents,
    payload: record.subarray(tableEnd),
    decodedBytes: record.readUInt32BE(16),
  };
}

/** What `base` holds after the DATA, ZERO and DISCARD records of a plain stream. */
export function applied(base: Buffer, records: readonly Buffer[]): Buffer {
  const image = Buffer.from(base);
  for (const record of records) {
    const { type, extents, payload } = decodeRecord(record);
    let position = 0;
    for (const [offset, length] of extents) {
      if (type === TYPE.zero || type === TYPE.discard) image.fill(0, offset, offset + length);
      if (type === TYPE.data) payload.copy(image, offset, position, position + length);
      position += length;
    }
  }
  return image;
}
