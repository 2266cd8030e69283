import { createHash } from 'node:crypto';
import type { ExtentSource } from './extents.js';

/** SHA-256 over all offsets and lengths, as 16 hexadecimal digits: whether two lists agree. */
export function extentsDigest(extents: ExtentSource): string {
  const hash = createHash('sha256');
  for (const { count, offsets, lengths } of extents.slices()) {
    hash.update(offsets.subarray(0, count)).update(lengths.subarray(0, count));
  }
  return hash.digest('hex').slice(0, 16);
}
