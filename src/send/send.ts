import { createBufferPool } from '../block/buffer-pool.js';
import type { Engine } from '../block/engine.js';
import { bufferCount } from '../block/io-limits.js';
import { LvmsyncError } from '../errors.js';
import type { ExtentSource } from '../extents/extents.js';
import type { ByteSink } from '../stream/bytes.js';
import { PROTO3_HANDSHAKE } from '../stream/handshake.js';
import type { Receipt } from '../stream/messages.js';
import type { Bandwidth } from '../transport/bandwidth.js';
import { createStreamWriter } from '../transport/stream-writer.js';
import type { RunWatcher } from '../watcher.js';
import type { Encoder, Source } from './encoder.js';
import { createLinkSet, type LinkSet } from './link-set.js';
import { createProto3Encoder } from './proto3-encoder.js';
import { readAhead } from './read-ahead.js';

export interface SendReport {
  recordCount: number;
  /** Bytes of data in the records. */
  dataBytes: number;
  /** Those of them that did not travel, being zeroes or discarded. */
  zeroBytes: number;
  /** Bytes of changed chunks that were left out, since the target holds them. */
  unchangedBytes: number;
  /** Bytes that an earlier connection or run had brought, and which were left out for that. */
  resumedBytes: number;
  /** Bytes of the whole stream. */
  streamBytes: number;
  /** What the receiver said in the end; undefined where nobody was asked. */
  receipt?: Receipt;
}

export interface SendRecordsOptions {
  encoder: Encoder;
  /** Where the data of the extents is read. */
  source: Source;
  engine: Engine;
  output: Pick<LinkSet, 'write' | 'finish'>;
  /** Buffers beyond those that the engine's limits allow, to keep several links busy. */
  furtherBuffers?: number | undefined;
  /** Nothing is written before it resolves; reading begins meanwhile. */
  mayWrite?: Promise<void> | undefined;
  /**
   * Told up to which offset everything has been handed to the writer, and how many bytes of stream
   * that were. Sending goes on when it resolves.
   */
  onSent?: ((offset: number, streamBytes: number) => Promise<void>) | undefined;
  /** Stops the sending between two buffers. */
  signal?: AbortSignal | undefined;
  watcher?: RunWatcher | undefined;
}

/**
 * Reads and writes everything the encoder has. Reads run ahead of the writes; a pool of buffers
 * bounds both.
 *
 * @throws LvmsyncError INTERRUPTED on `signal`, and what the links, the engine and the encoder
 *   throw
 */
export async function sendRecords(options: SendRecordsOptions): Promise<SendReport> {
  const { encoder, source, engine, output, furtherBuffers = 0, onSent, signal, watcher } = options;
  const { mayWrite } = options;
  const { bufferBytes } = encoder;
  const count = bufferCount(engine.limits, bufferBytes);
  const pool = createBufferPool(engine, { bufferBytes, count: count + furtherBuffers });
  const report: SendReport = {
    ...{ recordCount: 0, dataBytes: 0, streamBytes: 0 },
    ...{ zeroBytes: 0, unchangedBytes: 0, resumedBytes: 0 },
  };
  const readsInFlight = Math.floor(count / 2);
  try {
    for await (const { buffer, sealed } of readAhead(encoder, source, pool, readsInFlight)) {
      await mayWrite;
      if (signal?.aborted) throw interruptedError();
      report.recordCount += sealed.recordCount;
      report.dataBytes += sealed.dataBytes;
      report.zeroBytes += sealed.zeroBytes;
      for (const bytes of sealed.bytes) report.streamBytes += bytes.length;
      await output.write(sealed.bytes, (error) => {
        if (error) pool.close(error);
        else pool.release(buffer);
      });
      watcher?.advance(sealed.dataBytes);
      if (sealed.zeroBytes > 0) watcher?.saved('zero', sealed.zeroBytes);
      await onSent?.(sealed.endOffset, report.streamBytes);
    }
    await mayWrite;
    await output.finish();
    return report;
  } finally {
    pool.close();
  }
}

export interface SendOptions {
  extents: ExtentSource;
  source: Source;
  engine: Engine;
  /** Where the stream goes; it is not ended. */
  output: ByteSink;
  signal?: AbortSignal | undefined;
  bandwidth?: Bandwidth | undefined;
  watcher?: RunWatcher | undefined;
}

/**
 * Writes the extents to `output` as a PROTO[3] stream, records ascending.
 *
 * @throws LvmsyncError CONNECTION_LOST when the output fails, INTERRUPTED on `signal`, and what
 *   the engine throws
 */
export async function send(options: SendOptions): Promise<SendReport> {
  const { extents, output, bandwidth, ...rest } = options;
  const writer = createStreamWriter(output, bandwidth);
  rest.signal?.addEventListener('abort', () => writer.fail(interruptedError()), { once: true });
  rest.watcher?.phase('send', extents.totalBytes);
  await writer.write(Buffer.from(PROTO3_HANDSHAKE));
  const encoder = createProto3Encoder(extents);
  const report = await sendRecords({ ...rest, encoder, output: createLinkSet([writer]) });
  rest.watcher?.phase('flush');
  await writer.finish();
  return { ...report, streamBytes: report.streamBytes + PROTO3_HANDSHAKE.length };
}

/** What a run that was told to stop ends with. */
export function interruptedError(): LvmsyncError {
  return new LvmsyncError('INTERRUPTED', 'interrupted before all changes were sent', {
    hint: 'the target is incomplete until the same command has been run again to its end',
  });
}
