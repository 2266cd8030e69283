/**
 * Writes batches in such an order that the target ends as if every record had been written one
 * after the other, while batches that cannot disturb one another are in flight together.
 */
import { addPiece, type Batch, createBatch } from '../block/batch.js';
import type { BlockFile } from '../block/engine.js';

export interface WriteQueue {
  /**
   * Starts writing the batch as soon as nothing in flight can disturb it. `finished` settles when
   * its buffer and arrays may be used again. To be called again only after it has resolved.
   *
   * @throws what an earlier write failed with
   */
  start(batch: Batch): Promise<{ finished: Promise<void> }>;
  /** Waits for everything in flight. @throws what the first failed write failed with */
  drain(): Promise<void>;
}

export function createWriteQueue(target: BlockFile): WriteQueue {
  const inFlight = new Set<Promise<void>>();
  let highestEnd = 0; // of everything in flight
  let failure: { error: unknown } | undefined;

  async function drain(): Promise<void> {
    await Promise.allSettled(inFlight);
    highestEnd = 0;
    if (failure !== undefined) throw failure.error;
  }

  function track(written: Promise<void>): { finished: Promise<void> } {
    const finished = written.then(
      () => {
        inFlight.delete(finished);
      },
      (error: unknown) => {
        failure ??= { error };
        inFlight.delete(finished);
      },
    );
    inFlight.add(finished);
    return { finished };
  }

  /** Records that overwrite one another in one batch: one at a time, as the stream has them. */
  async function writeOneByOne(batch: Batch): Promise<void> {
    const single = createBatch(batch.buffer, 1);
    for (let i = 0; i < batch.count; i++) {
      single.count = 0;
      addPiece(single, batch.offsets[i]!, batch.lengths[i]!, batch.positions[i]!);
      await target.write(single);
    }
  }

  async function start(batch: Batch): Promise<{ finished: Promise<void> }> {
    if (failure !== undefined) throw failure.error;
    const order = orderOf(batch);
    if (order !== 'ascending' || batch.offsets[0]! < highestEnd) await drain();
    for (let i = 0; i < batch.count; i++) highestEnd = Math.max(highestEnd, endOf(batch, i));
    return track(order === 'overlapping' ? writeOneByOne(batch) : target.write(batch));
  }

  return { start, drain };
}

function endOf(batch: Batch, index: number): number {
  return batch.offsets[index]! + batch.lengths[index]!;
}

/** How the pieces of a batch lie to one another on the device. */
export function orderOf(batch: Batch): 'ascending' | 'disjoint' | 'overlapping' {
  let ascending = true;
  for (let i = 1; i < batch.count && ascending; i++) {
    ascending = batch.offsets[i]! >= endOf(batch, i - 1);
  }
  if (ascending) return 'ascending';
  const byOffset = Array.from({ length: batch.count }, (_, i) => i).sort(
    (a, b) => batch.offsets[a]! - batch.offsets[b]!,
  );
  for (let i = 1; i < byOffset.length; i++) {
    if (batch.offsets[byOffset[i]!]! < endOf(batch, byOffset[i - 1]!)) return 'overlapping';
  }
  return 'disjoint';
}
