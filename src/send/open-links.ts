/** Opens further links to a receiver, as docs/protocol.md has them ("Links"). */

import type { Engine } from '../block/engine.js';
import { nowMs } from '../clock.js';
import { LvmsyncError } from '../errors.js';
import { inTurns, isTurnOver, nextTurn } from '../extents/turns.js';
import { PROTO4_HANDSHAKE } from '../stream/handshake.js';
import { encodeMessage } from '../stream/message-encoder.js';
import { type Opened, type OpenRequest, parseOpened } from '../stream/messages.js';
import { RECORD } from '../stream/proto4.js';
import type { Bandwidth } from '../transport/bandwidth.js';
import type { Channel } from '../transport/channel.js';
import type { Link, LinkOpener } from '../transport/link.js';
import { keepAlive } from '../transport/pulse.js';
import { createStreamWriter, type StreamWriter } from '../transport/stream-writer.js';
import { connectTlsLink } from '../transport/tls-link.js';
import { createInbox, type Inbox } from './inbox.js';

/** What a user may say of the links; `auto` is decided by what is measured. */
export interface LinkWishes {
  /** Channels of each SSH connection. */
  channels: number | 'auto';
  /** Connections. */
  streams: number | 'auto';
  dataChannel: 'ssh' | 'tls';
}

export const ONE_LINK: LinkWishes = { channels: 1, streams: 1, dataChannel: 'ssh' };

/** An SSH channel carries so much in a round trip, in OpenSSH and in ssh2. */
const WINDOW_BYTES = 2 << 20;
/** What the channels together are to carry: more than the ciphers of one connection do. */
const WANTED_BYTES_PER_SECOND = 800e6;
/** With less the other end is working on the answer, and a window lasts long enough. */
const SHORT_ROUND_TRIP_MS = 5;
/**
 * The same where only the receiver answers, as soon as its process gets a turn, and further channels
 * take another login: up to here one channel carries 84 MB/s.
 */
const SHORT_ANSWER_MS = 25;
const MAX_AUTO_CHANNELS = 16;
/** All a receiver takes. */
export const MAX_LINKS = 32;
/** A transfer of less is over before a further link is there. */
const WORTHWHILE_BYTES = 16 << 20;
/** How long a link may take to be there, in milliseconds. */
const JOIN_MS = 10_000;
const TLS_CONNECT_MS = 5000;

/**
 * How many channels it takes to fill a link in spite of its round trip, in milliseconds.
 *
 * @param isApart they are of another connection than the first one
 */
export function channelsForRoundTrip(roundTripMs: number, isApart = false): number {
  if (roundTripMs < (isApart ? SHORT_ANSWER_MS : SHORT_ROUND_TRIP_MS)) return 1;
  const inFlightBytes = (WANTED_BYTES_PER_SECOND * roundTripMs) / 1000;
  return Math.max(1, Math.min(MAX_AUTO_CHANNELS, Math.ceil(inFlightBytes / WINDOW_BYTES)));
}

export interface OpenLinksOptions {
  channel: Channel;
  engine: Engine;
  writer: StreamWriter;
  inbox: Inbox;
  wishes: LinkWishes;
  /** What is to be sent. */
  totalBytes: number;
  timeoutMs: number;
  /** Of all links of the run together. */
  bandwidth?: Bandwidth | undefined;
  /** Told each link that may be written to from now on. */
  onLink(writer: StreamWriter): void;
  /** Told when a link that was joined has broken. */
  onFailure(error: LvmsyncError): void;
  onNote?: ((line: string) => void) | undefined;
  /** Told when what was asked for in so many words cannot be had. */
  onWarning?: ((line: string) => void) | undefined;
}

export interface OpenedLinks {
  /** Resolves when all links that there will be are there; never rejects. */
  ready: Promise<void>;
  /** How many have been joined. */
  count(): number;
  /** Ends all of them: nothing more is written, and nothing is waited for. */
  end(): void;
  destroy(): Promise<void>;
}

/** Starts opening the links that are wished for; the transfer goes on meanwhile. */
export function openLinks(options: OpenLinksOptions): OpenedLinks {
  const { channel, engine, wishes, timeoutMs, onLink, onFailure, onNote } = options;
  const isAuto = wishes.channels === 'auto' && wishes.dataChannel === 'ssh';
  const tellMissing = isAuto ? onNote : options.onWarning;
  const openers: LinkOpener[] = [];
  const links = new Set<Link>();
  const stops: (() => void)[] = [];
  let joined = 0;
  let ending = false;

  async function join(link: Link, token: string): Promise<void> {
    links.add(link);
    if (isTurnOver()) await nextTurn(); // many may be there at the same time
    if (ending) return link.destroy();
    const writer = createStreamWriter(link.input, options.bandwidth);
    const timer = setTimeout(() => link.destroy(), JOIN_MS);
    let isJoined = false;
    const inbox = createInbox({
      source: link.source,
      engine,
      peer: channel.description,
      onFailure(error) {
        if (isJoined && !ending) onFailure(error);
      },
    });
    try {
      const accepted = inbox.expect(RECORD.accept);
      await writer.write(
        Buffer.concat([Buffer.from(PROTO4_HANDSHAKE), encodeMessage(RECORD.join, { token })]),
      );
      await accepted;
    } finally {
      clearTimeout(timer);
    }
    if (isTurnOver()) await nextTurn();
    if (ending) return;
    isJoined = true;
    joined++;
    stops.push(keepAlive(writer, timeoutMs));
    onLink(writer);
  }

  async function ask(request: OpenRequest): Promise<{ opened: Opened; answerMs: number }> {
    const answer = options.inbox.expect(RECORD.opened);
    const askedAt = nowMs();
    await options.writer.write(encodeMessage(RECORD.open, request));
    const opened = parseOpened((await answer).payload);
    return { opened, answerMs: nowMs() - askedAt };
  }

  async function openTls(): Promise<void> {
    const count = wishes.streams === 'auto' ? 1 : wishes.streams;
    const { host } = channel;
    if (host === undefined) {
      throw unavailable(channel, 'TLS takes the built-in SSH, and no proxy on the way');
    }
    const { opened } = await ask({ via: 'tls', links: count });
    if ('unavailable' in opened) throw unavailable(channel, opened.unavailable);
    if (opened.via !== 'tls') throw unavailable(channel, 'it answered something else');
    const address = { host, port: opened.port, psk: opened.psk };
    const connect = async () =>
      join(await connectTlsLink(address, TLS_CONNECT_MS, engine), opened.token);
    await settleAll(Array.from({ length: count }, connect));
    onNote?.(`data over TLS 1.3 to ${host} port ${opened.port}, ${joined} links`);
  }

  async function openSsh(): Promise<void> {
    const { links: sameConnection, openStream } = channel;
    const streams = openStream === undefined || wishes.streams === 'auto' ? 1 : wishes.streams;
    const mayUse = sameConnection !== undefined && options.totalBytes >= WORTHWHILE_BYTES;
    // Where nobody has measured it, the receiver's answer below has to tell.
    const roundTripMs = channel.roundTripMs?.() ?? Number.POSITIVE_INFINITY;
    const guess = wishes.channels === 'auto' ? channelsForRoundTrip(roundTripMs) : wishes.channels;
    if ((!mayUse && wishes.channels === 'auto') || guess * streams === 1) return;
    if (sameConnection === undefined) {
      throw unavailable(channel, 'this way to it has one channel only');
    }
    const { opened, answerMs } = await ask({ via: 'unix', links: guess * streams - 1 });
    if ('unavailable' in opened) throw unavailable(channel, opened.unavailable);
    if (opened.via !== 'unix') throw unavailable(channel, 'it answered something else');
    const channels =
      wishes.channels === 'auto'
        ? Math.min(guess, channelsForRoundTrip(answerMs, sameConnection.isApart))
        : wishes.channels;
    if (channels * streams === 1) return;
    for (let i = 1; i < streams && openStream !== undefined; i++) openers.push(openStream());
    const connections = streams + (sameConnection.isApart && channels > 1 ? 1 : 0);
    const wanted = [
      ...Array.from({ length: channels - 1 }, () => sameConnection),
      ...openers.flatMap((opener) => Array.from({ length: channels }, () => opener)),
    ];
    const joins: Promise<void>[] = [];
    for await (const opener of inTurns(wanted)) {
      const join = openOne(opener, opened);
      join.catch(() => undefined); // met below
      joins.push(join);
    }
    await settleAll(joins);
    onNote?.(
      `${joined + 1} channels over ${connections} connections (an answer took ${answerMs.toFixed(1)} ms)`,
    );
  }

  async function openOne(
    opener: LinkOpener,
    { path, token }: Extract<Opened, { via: 'unix' }>,
  ): Promise<void> {
    await join(await opener.open(path), token);
  }

  /** A link less is a slower transfer, not a failed one. */
  async function settleAll(joins: Promise<void>[]): Promise<void> {
    const results = await Promise.allSettled(joins);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined && !ending) {
      if (joined === 0) throw failed.reason;
      tellMissing?.(`${results.length - joined} links less than wished for: ${failed.reason}`);
    }
  }

  const ready = (wishes.dataChannel === 'tls' ? openTls() : openSsh()).catch((error: unknown) => {
    if (ending) return;
    const reason = error instanceof Error ? error.message : String(error);
    const instead = wishes.dataChannel === 'tls' ? 'the SSH channel carries the data' : 'going on';
    tellMissing?.(`no further links, ${instead}: ${reason}`);
  });

  return {
    ready,
    count: () => joined,
    end() {
      ending = true;
      for (const stop of stops) stop();
      for (const { input } of links) input.end();
    },
    async destroy() {
      ending = true;
      for (const stop of stops) stop();
      for (const link of links) link.destroy();
      await Promise.all([channel.links, ...openers].map((opener) => opener?.close()));
    },
  };
}

function unavailable({ description }: Channel, reason: string): LvmsyncError {
  return new LvmsyncError('CONNECT_FAILED', `${description}: ${reason}`, {
    hint: 'one link does it too: leave --channels, --streams and --data-channel away',
  });
}
