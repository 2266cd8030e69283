import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { ByteSource } from '../stream/bytes.js';
import { streamSource } from './byte-source.js';
import type { Channel, ChannelEnd } from './channel.js';
import { stalledError } from './pulse.js';

/** How long after its end a far side's last words may take to arrive, in milliseconds. */
const LAST_WORDS_MS = 1000;

/**
 * Waits for the first byte of an answer; resolves to the end where none comes.
 *
 * @throws LvmsyncError PEER_STALLED
 */
export async function firstAnswer(
  channel: Channel,
  timeoutMs: number,
): Promise<ChannelEnd | undefined> {
  const { output, end, description } = channel;
  const readable = once(output, 'readable');
  // What it said before it ended may come after the news of its end.
  const silentEnd = end.then(() =>
    Promise.race([readable, delay(LAST_WORDS_MS, true, { ref: false })]),
  );
  const waiting: Promise<unknown>[] = [readable, silentEnd];
  const timer = new AbortController();
  if (timeoutMs > 0) waiting.push(delay(timeoutMs, undefined, { signal: timer.signal }));
  const answer = await Promise.race(waiting).finally(() => timer.abort());
  if (answer === undefined) {
    channel.destroy();
    throw stalledError(description, timeoutMs);
  }
  // A stream that ends without a byte becomes readable too.
  return output.readableLength > 0 ? undefined : end;
}

/**
 * What the far side answers, once `answered` has resolved: whoever waits for the first byte must be
 * the only one who listens. A read throws what `answered` rejects with.
 */
export function answersOf(
  { output, description }: Pick<Channel, 'output' | 'description'>,
  answered: Promise<void>,
): ByteSource {
  const source = answered.then(() => streamSource(output, description));
  source.catch(() => undefined); // met by who reads
  return { description, read: async (into) => (await source).read(into) };
}
