/** Seeded bytes that nothing can compress, at any place of a volume, as fast as AES goes. */
import { createCipheriv, createHash } from 'node:crypto';

/** Small enough for what the cipher returns to be memory that is at hand. */
const ZEROES = Buffer.alloc(64 << 10);

export interface Content {
  /** Fills `into` with what stands at `offset`, a multiple of 16. */
  fill(into: Buffer, offset: number): void;
}

export function seededContent(seed: string): Content {
  const key = createHash('sha256').update(seed).digest().subarray(0, 16);
  return {
    fill(into, offset) {
      const counter = Buffer.alloc(16);
      counter.writeBigUInt64BE(BigInt(offset / 16), 8);
      const cipher = createCipheriv('aes-128-ctr', key, counter);
      for (let at = 0; at < into.length; at += ZEROES.length) {
        cipher.update(ZEROES.subarray(0, into.length - at)).copy(into, at);
      }
    },
  };
}

/** The same with blocks of zeroes: this part of all 4 KiB blocks, of 0 to 1. */
export function withZeroes(content: Content, part: number): Content {
  const BLOCK_BYTES = 4096;
  return {
    fill(into, offset) {
      content.fill(into, offset);
      for (let at = 0; at < into.length; at += BLOCK_BYTES) {
        const block = (offset + at) / BLOCK_BYTES;
        // Fibonacci hashing: spread evenly, and the same each time.
        const spread = (Math.imul(block, 0x9e3779b1) >>> 0) / 2 ** 32;
        if (spread < part) into.fill(0, at, at + BLOCK_BYTES);
      }
    },
  };
}
