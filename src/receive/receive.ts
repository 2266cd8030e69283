import { type Batch, createBatch } from '../block/batch.js';
import { type BufferPool, createBufferPool } from '../block/buffer-pool.js';
import type { BlockFile, Engine } from '../block/engine.js';
import { bufferCount } from '../block/io-limits.js';
import type { ByteSource } from '../stream/bytes.js';
import { createProto3Decoder } from '../stream/proto3.js';
import type { RunWatcher } from '../watcher.js';
import { createCheckpoints } from './checkpoints.js';
import type { Snapback } from './snapback.js';
import { createWriteQueue } from './write-queue.js';

const BUFFER_BYTES = 1 << 20;
/** Records shorter than this on average cost one more call to the engine. */
const BATCH_PIECES = BUFFER_BYTES / 512;

export interface ReceiveOptions {
  /** From behind the label on. */
  source: ByteSource;
  target: BlockFile;
  engine: Engine;
  /** Saves what is overwritten. */
  snapback?: Snapback;
  watcher?: RunWatcher | undefined;
}

export interface ReceiveReport {
  recordCount: number;
  /** Bytes of data written to the target. */
  writtenBytes: number;
}

/**
 * Applies a PROTO[3] stream, from behind its label on, to the target and flushes it. The target
 * is written as the records arrive: after a failure it is neither base nor new.
 *
 * @throws LvmsyncError STREAM_TRUNCATED, PAST_END (the records before it are written), and what
 *   the engine and the snapback throw
 */
export async function receive(options: ReceiveOptions): Promise<ReceiveReport> {
  const { source, target, engine, snapback, watcher } = options;
  const pool = createBufferPool(engine, {
    bufferBytes: BUFFER_BYTES,
    count: bufferCount(engine.limits, BUFFER_BYTES),
  });
  const queue = createWriteQueue(target);
  let dataBytes = 0;
  const flushes = createCheckpoints(
    {
      get dataBytes() {
        return dataBytes;
      },
      checkpoint: () => target.flush().then(() => undefined),
    },
    async () => {},
  );
  watcher?.phase('apply');
  try {
    const recordCount = await decodeStream(source, target.sizeBytes, pool, async (batch) => {
      await snapback?.protect(batch);
      const bytesBefore = dataBytes;
      for (let i = 0; i < batch.count; i++) dataBytes += batch.lengths[i]!;
      watcher?.advance(dataBytes - bytesBefore);
      await flushes.note();
      return queue.start(batch);
    });
    watcher?.phase('flush');
    await queue.drain();
    await target.flush();
    await snapback?.complete();
    return { recordCount, writtenBytes: dataBytes };
  } catch (error) {
    await queue.drain().catch(() => undefined); // the caller closes the target next
    throw error;
  }
}

/**
 * Cuts the stream into batches and hands them to `apply` one after the other, in stream order.
 * A buffer goes back to the pool when all its batches have finished; the pool is the window.
 *
 * @returns how many records there were
 */
async function decodeStream(
  source: ByteSource,
  targetBytes: number,
  pool: BufferPool,
  apply: (batch: Batch) => Promise<{ finished: Promise<void> }>,
): Promise<number> {
  const decoder = createProto3Decoder(targetBytes);
  let buffer = await pool.acquire();
  let used = 0;
  let start = 0;

  for (let ended = false; !ended; ) {
    while (used < buffer.length && !ended) {
      const readBytes = await source.read(buffer.subarray(used));
      ended = readBytes === 0;
      used += readBytes;
    }
    const finished: Promise<void>[] = [];
    for (;;) {
      const batch = createBatch(buffer, BATCH_PIECES);
      start = decoder.decode(batch, start, used);
      if (batch.count === 0) break;
      finished.push((await apply(batch)).finished);
    }
    const next = await pool.acquire();
    buffer.copy(next, 0, start, used);
    used -= start;
    start = 0;
    releaseAfter(finished, pool, buffer);
    buffer = next;
  }
  decoder.finish(used);
  return decoder.recordCount;
}

function releaseAfter(finished: Promise<void>[], pool: BufferPool, buffer: Buffer): void {
  void Promise.allSettled(finished).then(() => pool.release(buffer));
}
