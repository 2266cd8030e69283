import { createSha256 } from '../checksum/sha256.js';
import type { ExtentSource } from './extents.js';
import { inTurns } from './turns.js';

/** SHA-256 over all offsets and lengths, as 16 hexadecimal digits: whether two lists agree. */
export async function extentsDigest(extents: ExtentSource): Promise<string> {
  const hash = createSha256();
  for await (const { count, offsets, lengths } of inTurns(extents.slices())) {
    hash.update(bytesOf(offsets.subarray(0, count))).update(bytesOf(lengths.subarray(0, count)));
  }
  return hash.digest().toString('hex', 0, 8);
}

function bytesOf({ buffer, byteOffset, byteLength }: Float64Array | Uint32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
