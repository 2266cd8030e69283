import { createHash } from 'node:crypto';
import type { ExtentSource } from './extents.js';
import { inTurns } from './turns.js';

/** SHA-256 over all offsets and lengths, as 16 hexadecimal digits: whether two lists agree. */
export async function extentsDigest(extents: ExtentSource): Promise<string> {
  const hash = createHash('sha256');
  for await (const { count, offsets, lengths } of inTurns(extents.slices())) {
    hash.update(offsets.subarray(0, count)).update(lengths.subarray(0, count));
  }
  return hash.digest('hex').slice(0, 16);
}
