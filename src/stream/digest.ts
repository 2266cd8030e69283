import { createSha256 } from '../checksum/sha256.js';
import { RECORD_HEADER_BYTES } from './proto4.js';

/**
 * The digest of a transfer: the sum, modulo 2^64 in each of four words, of the SHA-256 of every
 * record's header (without its own checksum) and table. It does not depend on the order, and the
 * payload's CRC in the header binds it to the data.
 */
export interface TransferDigest {
  /** @param prologue the record's header and table */
  add(prologue: Buffer): void;
  /** 64 hexadecimal digits. */
  hex(): string;
}

const HASHED_HEADER_BYTES = 28;

export function createTransferDigest(): TransferDigest {
  const sums = new BigUint64Array(4);
  return {
    add(prologue) {
      const hash = createSha256()
        .update(prologue.subarray(0, HASHED_HEADER_BYTES))
        .update(prologue.subarray(RECORD_HEADER_BYTES))
        .digest();
      for (let word = 0; word < 4; word++) sums[word]! += hash.readBigUInt64BE(word * 8);
    },
    hex: () => Array.from(sums, (sum) => sum.toString(16).padStart(16, '0')).join(''),
  };
}
