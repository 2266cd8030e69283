/** What a sender that listens is told, whatever the receiver does for it. */
import type { ByteSink } from '../stream/bytes.js';
import { PROTO4_HANDSHAKE } from '../stream/handshake.js';
import { isRefusalOfPeer } from '../stream/messages.js';
import type { Bandwidth } from '../transport/bandwidth.js';
import { keepAlive } from '../transport/pulse.js';
import { createStreamWriter, type StreamWriter } from '../transport/stream-writer.js';
import { sendRefusal } from './transfer.js';

export interface SenderOptions {
  /** Where a sender that speaks PROTO[4] listens for the answers. */
  answers?: ByteSink | undefined;
  /** How long a sender that speaks PROTO[4] may be silent, in milliseconds; 0 for ever. */
  timeoutMs?: number | undefined;
  /** Called when the sender knows of a failure, and will show it. */
  onRefusalSent?: (() => void) | undefined;
  /** Holds back and counts what is written; none unless said. */
  bandwidth?: Bandwidth | undefined;
}

/** Does the receiver's work: a sender that listens is kept alive meanwhile, and told of a failure. */
export async function whileTelling<T>(
  { answers: output, timeoutMs, onRefusalSent, bandwidth }: SenderOptions,
  work: (answers: StreamWriter | undefined) => Promise<T>,
): Promise<T> {
  const answers = output && createStreamWriter(output, bandwidth);
  const stopKeepingAlive = answers && keepAlive(answers, timeoutMs ?? 0);
  try {
    await answers?.write(Buffer.from(PROTO4_HANDSHAKE));
    return await work(answers);
  } catch (error) {
    if (isRefusalOfPeer(error)) onRefusalSent?.();
    else if (answers && (await sendRefusal(answers, error))) onRefusalSent?.();
    throw error;
  } finally {
    stopKeepingAlive?.();
  }
}

/** Tells a sender that speaks PROTO[4] why it will not be served; false when it cannot be told. */
export async function refuseSender(answers: ByteSink, error: unknown): Promise<boolean> {
  const writer = createStreamWriter(answers);
  await writer.write(Buffer.from(PROTO4_HANDSHAKE)).catch(() => {}); // the next write meets it too
  return sendRefusal(writer, error);
}
