import { createHash } from 'node:crypto';

/** Bytes of a hash in a CHECK record. */
export const HASH_BYTES = 16;

/** What a CHECK record compares: the first 16 bytes of the SHA-256 of an extent's content. */
export function contentHash(content: Buffer): Buffer {
  return createHash('sha256').update(content).digest().subarray(0, HASH_BYTES);
}
