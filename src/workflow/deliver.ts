import { setTimeout as delay } from 'node:timers/promises';
import type { Engine } from '../block/engine.js';
import { type ErrorCode, LvmsyncError } from '../errors.js';
import type { BaseCheck } from '../send/base-check.js';
import type { ChangeSource } from '../send/change-source.js';
import { explainedBy } from '../send/conversation.js';
import type { LinkWishes } from '../send/open-links.js';
import { interruptedError, type SendReport, send } from '../send/send.js';
import type { SkipUnchanged } from '../send/skip-unchanged.js';
import { type Attempts, newRun, sendTransfer } from '../send/transfer.js';
import type { Bandwidth } from '../transport/bandwidth.js';
import type { Channel, ChannelEnd } from '../transport/channel.js';
import { firstAnswer } from '../transport/first-answer.js';
import { explainEnd } from '../transport/remote-exit.js';
import type { RunWatcher } from '../watcher.js';

/** How long a far side may take to end once the stream to it has failed, in milliseconds. */
const END_GRACE_MS = 10_000;

/** What a receiver ends with that does not know an option. */
const UNKNOWN_OPTION = new Set<number | null>([1, 2]);

/** Failures after which a new connection may do better. */
const PASSING = new Set<ErrorCode>([
  'CONNECT_FAILED',
  'CONNECTION_LOST',
  'PEER_STALLED',
  'REMOTE_FAILED',
  'STREAM_TRUNCATED',
]);
/** What passes when the far side of a broken connection has noticed. */
const HELD = new Set<ErrorCode>(['TARGET_IN_USE', 'SNAPSHOT_IN_USE']);
const MAX_BACK_OFF_SECONDS = 30;

export type Protocol = 3 | 4;

/** What every conversation with a receiver takes. */
export interface ConversationOptions {
  /** Starts a receiver for the protocol, over a new connection if need be; what it prints goes to `onStderr`. */
  open(protocol: Protocol, onStderr: (chunk: Buffer) => void): Promise<Channel>;
  /** `auto`: PROTO[4], or PROTO[3] where the receiver does not know that. */
  protocol: Protocol | 'auto';
  /** What runs on the far side, for messages. */
  command: string;
  /** How long the receiver may be silent, in milliseconds; 0 for ever. */
  timeoutMs: number;
  /** How many times to connect again after a connection has broken. */
  retries: number;
  signal?: AbortSignal | undefined;
  /** Told what the receiver prints. */
  onStderr(chunk: Buffer): void;
  onWarning?: ((line: string) => void) | undefined;
  /** What limits and counts what is sent. */
  bandwidth?: Bandwidth | undefined;
  watcher?: RunWatcher | undefined;
}

export interface DeliverOptions extends ConversationOptions {
  source: ChangeSource;
  engine: Engine;
  version: string;
  base: BaseCheck;
  compress?: boolean | undefined;
  /** Whether to leave out what the target holds already within changed chunks; `never` unless said. */
  skipUnchanged?: SkipUnchanged | undefined;
  /** Over how many links, and of which kind; one unless said. */
  links?: LinkWishes | undefined;
  /** See `sendTransfer`: for a receiver that was started with `--hold`. */
  hold?: (() => Promise<void>) | undefined;
  onNote?: ((line: string) => void) | undefined;
}

/**
 * Sends all changes to a receiver and resolves only when it has ended well, flush included, and
 * the source has been found unchanged.
 *
 * @throws LvmsyncError the far side's failure where there is one, since it explains the rest
 */
export async function deliver(options: DeliverOptions): Promise<SendReport> {
  const { source, protocol } = options;
  const attempts: Attempts = { run: newRun(), sentOffset: 0, baseChecked: false };
  const talk = (channel: Channel, answered: Promise<void>) =>
    sendTransfer({ ...options, channel, answered, attempts });
  const report = protocol === 3 ? undefined : await converseUntilDone(options, talk);
  if (report !== undefined) return report;
  if (options.hold) {
    throw new LvmsyncError('REMOTE_FAILED', 'a receiver of PROTO[3] cannot wait for the others', {
      hint: 'install this version of lvmsync there',
    });
  }
  if (protocol === 'auto') {
    options.onWarning?.(
      'the receiver speaks PROTO[3] only: no checksums, no check of the base, no receipt',
    );
    if (options.skipUnchanged === 'always') {
      options.onWarning?.('unchanged blocks are sent too: it cannot be asked what it holds');
    }
  }
  options.watcher?.phase('connect');
  const sent = await sendBlindly(await options.open(3, options.onStderr), options);
  await source.recheck();
  return sent;
}

/**
 * Speaks PROTO[4], over as many connections as it takes.
 *
 * @param talk has the conversation, and goes on where the one before has ended. It is called as soon
 *   as the receiver is being started: what needs no answer may be written, to save a round trip;
 *   nothing may be read before `answered` has resolved, and what that rejects with is to be thrown
 * @returns undefined when the receiver does not know the protocol
 * @throws what `talk` throws, or how the far side ended where that explains it
 */
export async function converseUntilDone<T>(
  options: ConversationOptions,
  talk: (channel: Channel, answered: Promise<void>) => Promise<T>,
): Promise<T | undefined> {
  const { retries, signal, onWarning, watcher } = options;
  let connected = false;
  for (let retry = 0; ; retry++) {
    let knowsProto4: Promise<boolean> | undefined;
    try {
      watcher?.phase('connect');
      const started = await startForProto4(options, connected);
      const { channel } = started;
      ({ knowsProto4 } = started);
      const answered = knowsProto4.then((known) => {
        if (!known) throw notProto4(channel);
        connected = true;
      });
      answered.catch(() => undefined); // met by whoever reads
      return await throughChannel(channel, options, () => talk(channel, answered));
    } catch (error) {
      if (!connected && !signal?.aborted && (await isRefused(knowsProto4))) return undefined;
      if (!connected || retry >= retries || signal?.aborted || !mayPass(error, retry)) throw error;
      const seconds = Math.min(2 ** retry, MAX_BACK_OFF_SECONDS);
      onWarning?.(`${error.message}; trying again in ${seconds} s (${retry + 1} of ${retries})`);
      await delay(seconds * 1000, undefined, { ...(signal && { signal }) }).catch(() => {
        throw interruptedError();
      });
    }
  }
}

/** Whatever the conversation has failed with: whether its receiver had ended as an original one. */
async function isRefused(knowsProto4: Promise<boolean> | undefined): Promise<boolean> {
  return (await knowsProto4?.catch(() => true)) === false;
}

function notProto4({ description }: Channel): LvmsyncError {
  return new LvmsyncError('REMOTE_FAILED', `${description}: the receiver does not know PROTO[4]`, {
    hint: 'try --protocol 3',
  });
}

/** Whether a new connection may do better. Where one broke, its far side may still hold what it had. */
function mayPass(error: unknown, brokenConnections: number): error is LvmsyncError {
  if (!(error instanceof LvmsyncError)) return false;
  return PASSING.has(error.code) || (HELD.has(error.code) && brokenConnections > 0);
}

type StartOptions = Pick<
  ConversationOptions,
  'protocol' | 'onStderr' | 'command' | 'open' | 'timeoutMs'
>;

/** A receiver that has begun to answer; undefined when it does not know the protocol. */
export async function openForProto4(
  options: StartOptions,
  isKnown: boolean,
): Promise<Channel | undefined> {
  const { channel, knowsProto4 } = await startForProto4(options, isKnown);
  return (await knowsProto4) ? channel : undefined;
}

interface StartedReceiver {
  channel: Channel;
  /**
   * Resolves to true when it has begun to answer, to false when it ends as one that does not know
   * the protocol. Rejects with how it ended otherwise, or that it says nothing.
   */
  knowsProto4: Promise<boolean>;
}

/** @param isKnown an earlier receiver at the same place did know the protocol */
async function startForProto4(options: StartOptions, isKnown: boolean): Promise<StartedReceiver> {
  const mayBeOriginal = options.protocol === 'auto' && !isKnown;
  // What an original receiver says of the unknown option is not for the user.
  const held: Buffer[] = [];
  let hold = mayBeOriginal;
  const channel = await options.open(4, (chunk) => {
    if (hold) held.push(chunk);
    else options.onStderr(chunk);
  });

  async function awaitAnswer(): Promise<boolean> {
    const end = await firstAnswer(channel, options.timeoutMs);
    hold = false;
    if (end !== undefined && mayBeOriginal && UNKNOWN_OPTION.has(end.status)) {
      channel.destroy();
      return false;
    }
    for (const chunk of held) options.onStderr(chunk);
    if (end === undefined) return true;
    channel.destroy();
    throw whySilent(end, channel, options.command);
  }

  return { channel, knowsProto4: awaitAnswer() };
}

function whySilent(end: ChannelEnd, { description }: Channel, command: string): LvmsyncError {
  return (
    explainEnd(end, { description, command }) ??
    new LvmsyncError('REMOTE_FAILED', `${description}: ${command} said nothing`, {
      hint: 'is it lvmsync? try it with --version',
    })
  );
}

function sendBlindly(channel: Channel, options: DeliverOptions): Promise<SendReport> {
  const { source, engine, signal, bandwidth, watcher } = options;
  return throughChannel(channel, options, () => {
    channel.answers.discard();
    return send({
      extents: source.extents,
      source: source.data,
      engine,
      output: channel.input,
      ...{ signal, bandwidth, watcher },
    }).catch(async (error: unknown) => {
      throw await explainedBy(source, error);
    });
  });
}

/** Runs one conversation, waits for the far side's end, and finds the best explanation of it. */
async function throughChannel<T>(
  channel: Channel,
  { command, signal }: ConversationOptions,
  talk: () => Promise<T>,
): Promise<T> {
  const remote = { description: channel.description, command };
  const interrupt = () => channel.destroy();
  signal?.addEventListener('abort', interrupt, { once: true });
  try {
    const report = await talk();
    channel.input.end();
    channel.answers.discard();
    const failure = explainEnd(await channel.end, remote);
    if (failure !== undefined) throw failure;
    return report;
  } catch (error) {
    if (signal?.aborted) throw interruptedError();
    if (!(error instanceof LvmsyncError) || error.code !== 'CONNECTION_LOST') throw error;
    const explained = explainEnd(await endWithin(channel, END_GRACE_MS), remote);
    throw explained ?? error;
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
