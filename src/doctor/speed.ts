/** Short measurements that change nothing. */

import { createCipheriv, randomBytes } from 'node:crypto';
import { addPiece, createBatch } from '../block/batch.js';
import type { BlockFile, Engine } from '../block/engine.js';
import { nowMs } from '../clock.js';

const CIPHER_MS = 100;
const READ_MS = 1000;
const MAX_READ_BYTES = 256 << 20;
const PIECE_BYTES = 1 << 20;
const PIECES_AT_A_TIME = 8;

/** Bytes per second of AES-128-GCM on one core. */
export function measureCipher(): number {
  const block = Buffer.alloc(1 << 20);
  const cipher = createCipheriv('aes-128-gcm', randomBytes(16), randomBytes(12));
  const startedAt = nowMs();
  let best = 0;
  // The best of many: other programs take turns on the core.
  while (nowMs() - startedAt < CIPHER_MS) {
    const begunAt = nowMs();
    cipher.update(block);
    best = Math.max(best, perSecond(block.length, begunAt));
  }
  return best;
}

/**
 * Bytes per second of reading from the start of a device, past the page cache where that can be:
 * a second at the most. Undefined for what is empty.
 *
 * @throws LvmsyncError READ_FAILED
 */
export async function measureRead(file: BlockFile, engine: Engine): Promise<number | undefined> {
  const end = Math.min(file.sizeBytes, MAX_READ_BYTES);
  const buffer = engine.allocate(PIECES_AT_A_TIME * PIECE_BYTES);
  const startedAt = nowMs();
  let offset = 0;
  while (offset < end && nowMs() - startedAt < READ_MS) {
    const batch = createBatch(buffer, PIECES_AT_A_TIME);
    for (let i = 0; i < PIECES_AT_A_TIME && offset < end; i++) {
      const length = Math.min(PIECE_BYTES, end - offset);
      addPiece(batch, offset, length, i * PIECE_BYTES);
      offset += length;
    }
    await file.read(batch);
  }
  return offset === 0 ? undefined : perSecond(offset, startedAt);
}

function perSecond(bytes: number, startedAt: number): number {
  return (bytes / Math.max(nowMs() - startedAt, 0.001)) * 1000;
}

/** `850 MB/s`, `2.1 GB/s`. */
export function inRate(bytesPerSecond: number): string {
  if (bytesPerSecond >= 1e9) return `${(bytesPerSecond / 1e9).toFixed(1)} GB/s`;
  const mb = bytesPerSecond / 1e6;
  return `${mb.toFixed(mb < 10 ? 1 : 0)} MB/s`;
}
