import type { Writable } from 'node:stream';
import { type Batch, createBatch } from '../block/batch.js';
import { type BufferPool, createBufferPool } from '../block/buffer-pool.js';
import type { BlockFile, Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import type { ExtentSource } from '../extents/extents.js';
import { PROTO3_HANDSHAKE } from '../stream/handshake.js';
import { PROTO3_HEADER_BYTES, writeProto3Header } from '../stream/proto3.js';
import { createPacker, type Packing, packBufferBytes } from './pack.js';

/** Longest record sent, and so the longest request to the device. */
const MAX_RECORD_BYTES = 1 << 20;
/** Most records in one buffer: a mebibyte of 4 KiB chunks. */
const BATCH_PIECES = MAX_RECORD_BYTES / 4096;
const READS_IN_FLIGHT = 4;
const BUFFER_COUNT = 8;

export interface SendOptions {
  extents: ExtentSource;
  /** Where the data of the extents is read. */
  source: BlockFile;
  engine: Engine;
  /** Where the stream goes; it is not ended. */
  output: Writable;
  /** Stops the sending between two buffers. */
  signal?: AbortSignal | undefined;
}

export interface SendReport {
  recordCount: number;
  /** Bytes of data in the records. */
  dataBytes: number;
  /** Bytes of the whole stream. */
  streamBytes: number;
}

interface FilledBuffer {
  buffer: Buffer;
  batch: Batch;
  packing: Packing;
}

/**
 * Reads the extents from the source and writes them to `output` as a PROTO[3] stream, records
 * ascending. Reads run ahead of the writes; a pool of buffers bounds both.
 *
 * @throws LvmsyncError CONNECTION_LOST when the output fails, INTERRUPTED on `signal`, and what
 *   the engine throws
 */
export async function send(options: SendOptions): Promise<SendReport> {
  const { extents, source, engine, output, signal } = options;
  const bufferBytes = packBufferBytes(MAX_RECORD_BYTES);
  const pool = createBufferPool(engine, { bufferBytes, count: BUFFER_COUNT });
  const packer = createPacker(extents, {
    headerBytes: PROTO3_HEADER_BYTES,
    maxRecordBytes: MAX_RECORD_BYTES,
  });
  const report: SendReport = {
    recordCount: 0,
    dataBytes: 0,
    streamBytes: PROTO3_HANDSHAKE.length,
  };
  const writer = createStreamWriter(output);
  await writer.write(Buffer.from(PROTO3_HANDSHAKE), () => {});

  for await (const { buffer, batch, packing } of readAhead(packer.next, source, pool)) {
    if (signal?.aborted) throw interruptedError();
    for (let i = 0; i < batch.count; i++) {
      const position = batch.positions[i]! - PROTO3_HEADER_BYTES;
      writeProto3Header(buffer, position, batch.offsets[i]!, batch.lengths[i]!);
      report.dataBytes += batch.lengths[i]!;
    }
    report.recordCount += batch.count;
    report.streamBytes += packing.end - packing.start;
    await writer.write(buffer.subarray(packing.start, packing.end), () => pool.release(buffer));
  }
  await writer.finish();
  return report;
}

/** What a run that was told to stop ends with. */
export function interruptedError(): LvmsyncError {
  return new LvmsyncError('INTERRUPTED', 'interrupted before all changes were sent', {
    hint: 'the target is incomplete until the same command has been run again to its end',
  });
}

/** Keeps several reads in flight and yields the filled buffers in order. */
async function* readAhead(
  pack: (batch: Batch) => Packing | undefined,
  source: BlockFile,
  pool: BufferPool,
): AsyncGenerator<FilledBuffer> {
  const reads: Promise<FilledBuffer>[] = [];
  async function startRead(): Promise<boolean> {
    const buffer = await pool.acquire();
    const batch = createBatch(buffer, BATCH_PIECES);
    const packing = pack(batch);
    if (packing === undefined) {
      pool.release(buffer);
      return false;
    }
    const read = source.read(batch).then(() => ({ buffer, batch, packing }));
    read.catch(() => undefined); // met when its turn comes
    reads.push(read);
    return true;
  }
  let more = true;
  try {
    for (;;) {
      while (more && reads.length < READS_IN_FLIGHT) more = await startRead();
      const next = reads.shift();
      if (next === undefined) return;
      yield await next;
    }
  } finally {
    await Promise.allSettled(reads); // the engine still writes into their buffers
  }
}

interface StreamWriter {
  /** Resolves when more may be written; `released` is called when `bytes` may be reused. */
  write(bytes: Buffer, released: () => void): Promise<void>;
  /** Waits until everything written has been taken. */
  finish(): Promise<void>;
}

/** Back-pressure and failure of a Node stream as promises. */
function createStreamWriter(output: Writable): StreamWriter {
  let failure: LvmsyncError | undefined;
  let wake: (() => void) | undefined;
  const outstanding = new Set<() => void>();

  function fail(cause: unknown): void {
    if (failure !== undefined) return;
    failure = new LvmsyncError('CONNECTION_LOST', 'the receiver stopped taking data', {
      hint: 'see what the receiver said; the target is incomplete',
      cause,
    });
    // A stream that broke may never call back: nobody may wait for its buffers.
    for (const released of outstanding) released();
    outstanding.clear();
    wake?.();
  }
  output.on('error', fail);
  output.on('close', () => fail(undefined));
  output.on('drain', () => wake?.());

  async function until(condition: () => boolean): Promise<void> {
    while (failure === undefined && !condition()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (failure !== undefined) throw failure;
  }

  return {
    async write(bytes, released) {
      if (failure !== undefined) throw failure;
      outstanding.add(released);
      output.write(bytes, (error) => {
        if (error) fail(error);
        if (outstanding.delete(released)) released();
        wake?.();
      });
      await until(() => !output.writableNeedDrain);
    },
    finish: () => until(() => outstanding.size === 0),
  };
}
