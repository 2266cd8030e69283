import { LvmsyncError } from '../errors.js';
import type { Channel, ChannelEnd } from '../transport/channel.js';

/** How lvmsync refuses an option that it does not know, ours and the original. */
const DOES_NOT_KNOW = /(unknown|invalid) option:? .?--send-to-stdio/i;
const MAX_HELD_BYTES = 64 << 10;

/**
 * Starts what offers a source. What it prints before its first answer is held until that has come,
 * or its end: what an lvmsync says that does not know how to be asked is not for the user.
 */
export async function openOffering(
  open: (onStderr: (chunk: Buffer) => void) => Promise<Channel>,
  command: string,
  onStderr: (chunk: Buffer) => void,
): Promise<Channel> {
  const held: Buffer[] = [];
  let heldBytes = 0;
  let hold = true;
  function release(): void {
    hold = false;
    for (const chunk of held.splice(0)) onStderr(chunk);
  }
  const channel = await open((chunk) => {
    if (!hold) return onStderr(chunk);
    held.push(chunk);
    heldBytes += chunk.length;
    if (heldBytes > MAX_HELD_BYTES) release();
  });
  const { description, answers } = channel;
  const end = channel.end.then((ended): ChannelEnd => {
    const words = Buffer.concat(held).toString('utf8');
    if (!DOES_NOT_KNOW.test(words)) {
      release();
      return ended;
    }
    const error = new LvmsyncError(
      'REMOTE_FAILED',
      `${description}: ${command} there cannot send on request: it is an original lvmsync, or older than this one`,
      {
        hint: 'install this version there; or pipe the changes: ssh HOST lvmsync SNAPSHOT --stdout | lvmsync --apply - TARGET',
      },
    );
    return { ...ended, error };
  });
  answers.arrive().then(
    (arrived) => arrived && release(),
    () => {}, // its end says why
  );
  return { ...channel, end };
}
