/** Both ends of a conversation notice when the other has stopped, however quietly. */
import { nowMs } from '../clock.js';
import { LvmsyncError } from '../errors.js';
import { type ByteSource, withEachRead } from '../stream/bytes.js';
import { encodeMessage } from '../stream/message-encoder.js';
import { RECORD } from '../stream/proto4.js';
import type { StreamWriter } from './stream-writer.js';

/**
 * The source, but a read that waits longer than `timeoutMs` fails; 0 means for ever.
 *
 * @throws LvmsyncError PEER_STALLED from each read
 */
export function withTimeout(source: ByteSource, timeoutMs: number): ByteSource {
  if (timeoutMs === 0) return source;
  let giveUp: ((error: LvmsyncError) => void) | undefined;
  // One timer for all reads: they are many.
  const timer = setTimeout(() => giveUp?.(stalledError(source.description, timeoutMs)), timeoutMs);
  timer.unref();
  return withEachRead(source, <T>(read: () => Promise<T>) => {
    timer.refresh();
    timer.ref();
    return new Promise<T>((resolve, reject) => {
      giveUp = reject;
      read().then(resolve, reject);
    }).finally(() => {
      giveUp = undefined;
      timer.unref();
    });
  });
}

/** Sends ALIVE whenever nothing else was sent for a third of the timeout. Returns what stops it. */
export function keepAlive(writer: StreamWriter, timeoutMs: number): () => void {
  if (timeoutMs === 0) return () => {};
  const intervalMs = timeoutMs / 3;
  const timer = setInterval(() => {
    if (nowMs() - writer.lastWriteAt < intervalMs * 0.9) return;
    // Its failure shows where the conversation writes or reads next.
    writer.write(encodeMessage(RECORD.alive)).catch(() => {});
  }, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}

export function stalledError(description: string, timeoutMs: number): LvmsyncError {
  return new LvmsyncError(
    'PEER_STALLED',
    `${description}: nothing came for ${timeoutMs / 1000} seconds`,
    {
      hint: 'the other end or the network hangs: look there, allow more with --timeout, or say --protocol 3 if it is an original lvmsync behind a forced command',
    },
  );
}
