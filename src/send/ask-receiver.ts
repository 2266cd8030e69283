import type { Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import { PROTO4_HANDSHAKE } from '../stream/handshake.js';
import { encodeMessage } from '../stream/message-encoder.js';
import { parseReceiverHello, type ReceiverHello, refusalOf } from '../stream/messages.js';
import { RECORD } from '../stream/proto4.js';
import type { Channel } from '../transport/channel.js';
import { withTimeout } from '../transport/pulse.js';
import { createStreamWriter } from '../transport/stream-writer.js';
import { createInbox } from './inbox.js';

/**
 * Has a receiver look at its target and say what it is, and sends nothing.
 *
 * @throws LvmsyncError what the receiver refuses with; CONNECTION_LOST, PEER_STALLED
 */
export async function askReceiver(
  channel: Channel,
  { engine, timeoutMs }: { engine: Engine; timeoutMs: number },
): Promise<ReceiverHello> {
  const writer = createStreamWriter(channel.input);
  const inbox = createInbox({
    source: withTimeout(channel.answers, timeoutMs),
    engine,
    peer: channel.description,
    onFailure: writer.fail,
  });
  const hello = parseReceiverHello((await inbox.expect(RECORD.hello)).payload);
  const asked = new LvmsyncError('INTERRUPTED', 'the sender has only asked what the target is');
  const refusal = encodeMessage(RECORD.refuse, refusalOf(asked));
  await writer
    .write(Buffer.concat([Buffer.from(PROTO4_HANDSHAKE), refusal]))
    .catch(() => undefined);
  channel.input.end();
  await channel.end;
  return hello;
}
