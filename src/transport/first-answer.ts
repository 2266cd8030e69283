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
  const hasSpoken = await speaksWithin(channel, timeoutMs);
  if (!hasSpoken) {
    channel.destroy();
    throw stalledError(description, timeoutMs);
  }
  // A stream that ends without a byte becomes readable too.
  return output.readableLength > 0 ? undefined : end;
}

/** Whether it says something or ends in time. @throws what its output fails with */
async function speaksWithin({ output, end }: Channel, timeoutMs: number): Promise<boolean> {
  const timers: NodeJS.Timeout[] = [];
  let forget = () => {};
  try {
    return await new Promise<boolean>((resolve, reject) => {
      const answer = () => resolve(true);
      output.once('readable', answer);
      output.once('error', reject);
      forget = () => output.off('readable', answer).off('error', reject);
      // What it said before it ended may come after the news of its end.
      void end.then(() => timers.push(setTimeout(answer, LAST_WORDS_MS).unref()));
      if (timeoutMs > 0) timers.push(setTimeout(resolve, timeoutMs, false));
    });
  } finally {
    forget();
    for (const timer of timers) clearTimeout(timer);
  }
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
