/** Answers CHECK records: which extents of the target hold neither of what they should. */
import { addPiece, createBatch } from '../block/batch.js';
import type { BlockFile, Engine } from '../block/engine.js';
import { contentHash, HASH_BYTES } from '../stream/content-hash.js';
import {
  damaged,
  MAX_PAYLOAD_BYTES,
  MAX_RECORD_EXTENTS,
  RECORD,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  readTable,
  TABLE_ENTRY_BYTES,
} from '../stream/proto4.js';
import { encodeTableRecord } from '../stream/table-record.js';
import type { RecordReader } from '../transport/record-reader.js';

const HASHES_PER_EXTENT = [1, 2];

export interface Checker {
  /** Reads the body of a CHECK record and the target; the CHECKED record to answer with. */
  check(header: RecordHeader, reader: RecordReader): Promise<Buffer>;
}

export function createChecker(target: BlockFile, engine: Engine): Checker {
  const bodyBytes = RECORD_HEADER_BYTES + MAX_RECORD_EXTENTS * (TABLE_ENTRY_BYTES + 2 * HASH_BYTES);
  const body = Buffer.alloc(bodyBytes);
  const content = createBatch(engine.allocate(MAX_PAYLOAD_BYTES), MAX_RECORD_EXTENTS);
  const extents = createBatch(content.buffer, MAX_RECORD_EXTENTS);
  const differing = createBatch(content.buffer, MAX_RECORD_EXTENTS);

  async function check(header: RecordHeader, reader: RecordReader): Promise<Buffer> {
    const { extentCount, payloadBytes } = header;
    const hashCount = payloadBytes / HASH_BYTES / extentCount;
    if (!HASHES_PER_EXTENT.includes(hashCount))
      throw damaged('a check has a strange number of hashes');
    const payloadPosition = RECORD_HEADER_BYTES + extentCount * TABLE_ENTRY_BYTES;
    const { prologue, payload } = await reader.readBody(body, payloadPosition);
    const totalBytes = readTable(prologue, RECORD_HEADER_BYTES, header, target.sizeBytes, extents);
    if (totalBytes > MAX_PAYLOAD_BYTES) throw damaged(`a check is about ${totalBytes} bytes`);

    content.count = 0;
    for (let i = 0, position = 0; i < extents.count; i++) {
      addPiece(content, extents.offsets[i]!, extents.lengths[i]!, position);
      position += extents.lengths[i]!;
    }
    await target.read(content);
    differing.count = 0;
    for (let i = 0; i < content.count; i++) {
      const position = content.positions[i]!;
      const hash = contentHash(content.buffer.subarray(position, position + content.lengths[i]!));
      const hashes = payload.subarray(i * hashCount * HASH_BYTES, (i + 1) * hashCount * HASH_BYTES);
      if (!holds(hashes, hash)) {
        addPiece(differing, content.offsets[i]!, content.lengths[i]!, 0);
      }
    }
    return encodeTableRecord(RECORD.checked, differing);
  }

  return { check };
}

function holds(hashes: Buffer, hash: Buffer): boolean {
  for (let at = 0; at < hashes.length; at += HASH_BYTES) {
    if (hash.equals(hashes.subarray(at, at + HASH_BYTES))) return true;
  }
  return false;
}
