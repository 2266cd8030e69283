import type { ByteSource } from '../stream/bytes.js';
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
  const { end, description } = channel;
  const heard = await listen(channel, timeoutMs);
  if (heard === 'silence') {
    channel.destroy();
    throw stalledError(description, timeoutMs);
  }
  return heard === 'answer' ? undefined : end;
}

/** What comes of it in time. @throws what the answers fail with */
async function listen(
  { answers, end }: Channel,
  timeoutMs: number,
): Promise<'answer' | 'end' | 'silence'> {
  const timers: NodeJS.Timeout[] = [];
  try {
    return await new Promise((resolve, reject) => {
      answers.arrive().then((arrived) => resolve(arrived ? 'answer' : 'end'), reject);
      // What it said before it ended may come after the news of its end.
      void end.then(() => timers.push(setTimeout(resolve, LAST_WORDS_MS, 'end').unref()));
      if (timeoutMs > 0) timers.push(setTimeout(resolve, timeoutMs, 'silence'));
    });
  } finally {
    for (const timer of timers) clearTimeout(timer);
  }
}

/** What the far side answers. A read throws what `answered` rejects with. */
export function answersOf({ answers }: Channel, answered: Promise<void>): ByteSource {
  answered.catch(() => undefined); // met by who reads
  return {
    description: answers.description,
    async read(into) {
      await answered;
      return answers.read(into);
    },
  };
}
