import type { Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import type { ChangeSource } from '../send/change-source.js';
import { interruptedError, type SendReport, send } from '../send/send.js';
import type { Channel, ChannelEnd } from '../transport/channel.js';
import { explainEnd } from '../transport/remote-exit.js';

/** How long a far side may take to end once the stream to it has failed, in milliseconds. */
const END_GRACE_MS = 10_000;

export interface DeliverOptions {
  source: ChangeSource;
  engine: Engine;
  /** To a running receiver. */
  channel: Channel;
  /** What runs on the far side, for messages. */
  command: string;
  signal?: AbortSignal | undefined;
}

/**
 * Sends all changes to a receiver and resolves only when it has ended well, flush included, and
 * the source has been found unchanged.
 *
 * @throws LvmsyncError the far side's failure where there is one, since it explains the rest
 */
export async function deliver(options: DeliverOptions): Promise<SendReport> {
  const { source, engine, channel, command, signal } = options;
  const remote = { description: channel.description, command };
  const interrupt = () => channel.destroy();
  signal?.addEventListener('abort', interrupt, { once: true });
  try {
    const report = await send({
      extents: source.extents,
      source: source.data,
      engine,
      output: channel.input,
      signal,
    });
    channel.input.end();
    channel.output.resume();
    const failure = explainEnd(await channel.end, remote);
    if (failure !== undefined) throw failure;
    await source.recheck();
    return report;
  } catch (error) {
    if (signal?.aborted) throw interruptedError();
    if (!(error instanceof LvmsyncError) || error.code !== 'CONNECTION_LOST') throw error;
    throw explainEnd(await endWithin(channel, END_GRACE_MS), remote) ?? error;
  } finally {
    signal?.removeEventListener('abort', interrupt);
    channel.destroy();
  }
}

async function endWithin(channel: Channel, milliseconds: number): Promise<ChannelEnd> {
  const timer = setTimeout(() => channel.destroy(), milliseconds);
  try {
    return await channel.end;
  } finally {
    clearTimeout(timer);
  }
}
