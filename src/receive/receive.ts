import { type Batch, createBatch } from '../block/batch.js';
import { type BufferPool, createBufferPool } from '../block/buffer-pool.js';
import type { BlockFile, Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import type { ByteSource } from '../stream/bytes.js';
import { MAX_HANDSHAKE_BYTES, parseHandshake } from '../stream/handshake.js';
import { createProto3Decoder } from '../stream/proto3.js';
import type { Snapback } from './snapback.js';
import { createWriteQueue } from './write-queue.js';

/** Bytes of one buffer, and how many: what a receiver holds in flight at the most. */
const BUFFER_BYTES = 1 << 20;
const BUFFER_COUNT = 8;
/** Records shorter than this on average cost one more call to the engine. */
const BATCH_PIECES = BUFFER_BYTES / 512;

export interface ReceiveOptions {
  source: ByteSource;
  target: BlockFile;
  engine: Engine;
  /** Saves what is overwritten. */
  snapback?: Snapback;
}

export interface ReceiveReport {
  recordCount: number;
  /** Bytes of data written to the target. */
  writtenBytes: number;
}

/**
 * Applies a stream to the target and flushes it. The target is written as the records arrive:
 * after a failure it is neither base nor new.
 *
 * @throws LvmsyncError STREAM_UNKNOWN (nothing written), STREAM_TRUNCATED, PAST_END (the records
 *   before it are written), and what the engine and the snapback throw
 */
export async function receive(options: ReceiveOptions): Promise<ReceiveReport> {
  const { source, target, engine, snapback } = options;
  const pool = createBufferPool(engine, { bufferBytes: BUFFER_BYTES, count: BUFFER_COUNT });
  const queue = createWriteQueue(target);
  try {
    const report = await decodeStream(source, target.sizeBytes, pool, async (batch) => {
      await snapback?.protect(batch);
      return queue.start(batch);
    });
    await queue.drain();
    await target.flush();
    return report;
  } catch (error) {
    await queue.drain().catch(() => undefined); // the caller closes the target next
    throw error;
  }
}

/**
 * Reads a whole stream without writing anything: what a stream in a file goes through before it
 * is applied, so that a damaged one changes nothing.
 *
 * @throws LvmsyncError STREAM_UNKNOWN, STREAM_TRUNCATED, PAST_END
 */
export async function checkStream(
  source: ByteSource,
  targetBytes: number,
  engine: Engine,
): Promise<ReceiveReport> {
  const pool = createBufferPool(engine, { bufferBytes: BUFFER_BYTES, count: 2 });
  return decodeStream(source, targetBytes, pool, async () => ({ finished: Promise.resolve() }));
}

/**
 * Cuts the stream into batches and hands them to `apply` one after the other, in stream order.
 * A buffer goes back to the pool when all its batches have finished; the pool is the window.
 */
async function decodeStream(
  source: ByteSource,
  targetBytes: number,
  pool: BufferPool,
  apply: (batch: Batch) => Promise<{ finished: Promise<void> }>,
): Promise<ReceiveReport> {
  const decoder = createProto3Decoder(targetBytes);
  let buffer = await pool.acquire();
  let { used, start } = await readHandshake(source, buffer);
  let writtenBytes = 0;

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
      for (let i = 0; i < batch.count; i++) writtenBytes += batch.lengths[i]!;
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
  return { recordCount: decoder.recordCount, writtenBytes };
}

function releaseAfter(finished: Promise<void>[], pool: BufferPool, buffer: Buffer): void {
  void Promise.allSettled(finished).then(() => pool.release(buffer));
}

/** Fills the buffer until the handshake line is whole; `start` is the byte after the line. */
async function readHandshake(
  source: ByteSource,
  buffer: Buffer,
): Promise<{ used: number; start: number }> {
  for (let used = 0; ; ) {
    const handshake = parseHandshake(buffer.subarray(0, used));
    if (handshake !== undefined) return { used, start: handshake.lineBytes };
    const readBytes = await source.read(buffer.subarray(used, MAX_HANDSHAKE_BYTES));
    if (readBytes === 0) {
      throw new LvmsyncError(
        used === 0 ? 'STREAM_TRUNCATED' : 'STREAM_UNKNOWN',
        used === 0
          ? `nothing came from ${source.description}`
          : `${source.description} is not an lvmsync stream: it ends inside its first line`,
        { hint: 'the sender failed before it sent anything: see its own message' },
      );
    }
    used += readBytes;
  }
}
