import { type Batch, createBatch } from '../block/batch.js';
import type { BufferPool } from '../block/buffer-pool.js';
import { isTurnOver, nextTurn } from '../extents/turns.js';
import { BATCH_PIECES, type Encoder, type Sealed, type Source } from './encoder.js';

/** A buffer whose records are ready; it goes back to the pool when they have been sent. */
export interface ReadyBuffer {
  buffer: Buffer;
  sealed: Sealed;
}

/**
 * Reads what the encoder lays out, several buffers ahead, and yields them sealed and in order.
 *
 * @throws what the source and the encoder throw
 */
export async function* readAhead(
  encoder: Encoder,
  source: Source,
  pool: BufferPool,
  readsInFlight: number,
): AsyncGenerator<ReadyBuffer, void, void> {
  const reads: { buffer: Buffer; sealing: Promise<Sealed> }[] = [];

  async function fill(batch: Batch): Promise<Sealed> {
    await source.read(batch);
    if (isTurnOver()) await nextTurn();
    return encoder.seal(batch);
  }

  async function startRead(): Promise<boolean> {
    const buffer = await pool.acquire();
    if (isTurnOver()) await nextTurn();
    const batch = createBatch(buffer, BATCH_PIECES);
    if (!encoder.layOut(batch)) {
      pool.release(buffer);
      return false;
    }
    const sealing = fill(batch);
    sealing.catch(() => undefined); // met when its turn comes
    reads.push({ buffer, sealing });
    return true;
  }

  let more = true;
  try {
    for (;;) {
      while (more && reads.length < readsInFlight) more = await startRead();
      const next = reads[0];
      if (next === undefined) return;
      const { buffer, sealing } = next;
      const sealed = await sealing;
      reads.shift();
      yield { buffer, sealed };
    }
  } finally {
    // The engine still writes into their buffers.
    await Promise.allSettled(reads.map(({ sealing }) => sealing));
    for (const { buffer } of reads) pool.release(buffer);
  }
}
