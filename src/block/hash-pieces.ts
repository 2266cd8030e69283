import { contentHash } from '../checksum/content-hash.js';
import type { Batch } from './batch.js';

/** The content hashes of the pieces of a batch, one behind the other. */
export function hashPieces({ buffer, count, positions, lengths }: Batch): Buffer {
  const hashes: Buffer[] = [];
  for (let i = 0; i < count; i++) {
    hashes.push(contentHash(buffer.subarray(positions[i]!, positions[i]! + lengths[i]!)));
  }
  return Buffer.concat(hashes);
}
