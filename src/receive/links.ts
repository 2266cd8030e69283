/** The further links of a transfer at its receiver, as docs/protocol.md has them ("Links"). */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Engine } from '../block/engine.js';
import { PROTO4_HANDSHAKE } from '../stream/handshake.js';
import { encodeMessage } from '../stream/message-encoder.js';
import { type Opened, type OpenRequest, parseJoin } from '../stream/messages.js';
import { damaged, RECORD } from '../stream/proto4.js';
import type { ReceivedLink } from '../transport/link.js';
import { type LinkListener, listenOnTls, listenOnUnix } from '../transport/link-listener.js';
import { withTimeout } from '../transport/pulse.js';
import { createRecordReader, type RecordReader } from '../transport/record-reader.js';
import { readHandshake } from './read-handshake.js';
import { createSoundness, type Soundness } from './soundness.js';

/** With the first one; what a hostile sender could make a receiver hold is bounded by it. */
export const MAX_LINKS = 32;
/** How long a link may take to say who it is, in milliseconds. */
const JOIN_MS = 10_000;

/** How a receiver may be reached beside the channel that it was started over. */
export interface LinkPolicy {
  /** The user to whom the socket is opened, where that is not the one of this process. */
  owner?: number | undefined;
  /** The address that the sender came in on: the only one to listen on with TLS. */
  tlsHost?: string | undefined;
}

export interface ReceiverLinksOptions {
  policy: LinkPolicy;
  engine: Engine;
  /** How long a link may be silent, in milliseconds; 0 for ever. */
  timeoutMs: number;
  /** Reads the records of a link to its end. */
  receive(reader: RecordReader, via: OpenRequest['via']): Promise<void>;
}

/** Fails with the first link that fails. */
export interface ReceiverLinks extends Soundness {
  /** Starts to listen; the answer to an OPEN record. */
  open(request: OpenRequest): Promise<Opened>;
  /** Takes no more links, and waits until those that there are have ended. */
  ended(): Promise<void>;
  close(): void;
}

export function createReceiverLinks(options: ReceiverLinksOptions): ReceiverLinks {
  const { policy, engine, timeoutMs, receive } = options;
  const links = new Set<ReceivedLink>();
  const received: Promise<void>[] = [];
  let listener: LinkListener | undefined;
  let ending = false;
  const { whileSound, fail } = createSoundness();

  function stopListening(): void {
    listener?.close();
    listener = undefined;
  }

  async function open({ via, links: asked }: OpenRequest): Promise<Opened> {
    if (listener !== undefined) throw damaged('the sender asks for links twice');
    const token = randomBytes(32).toString('hex');
    let wanted = Math.min(asked, MAX_LINKS);

    function onLink(link: ReceivedLink): void {
      links.add(link);
      void join(link).then((reader) => {
        if (reader === undefined) {
          links.delete(link);
          return link.destroy();
        }
        if (wanted === 0) stopListening();
        received.push(receive(reader, via).catch(fail));
      });
    }

    /** Undefined for whoever does not know the token. */
    async function join(link: ReceivedLink): Promise<RecordReader | undefined> {
      const timer = setTimeout(() => link.destroy(), JOIN_MS);
      try {
        const source = withTimeout(link.source, timeoutMs);
        const { protocol } = await readHandshake(source);
        const reader = createRecordReader(source, engine);
        const header = await reader.nextHeader();
        if (protocol !== 4 || header?.type !== RECORD.join) return undefined;
        const { payload } = await reader.readOwnBody();
        const said = Buffer.from(parseJoin(payload).token, 'hex');
        if (!timingSafeEqual(said, Buffer.from(token, 'hex'))) return undefined;
        if (wanted <= 0 || ending) return undefined;
        wanted--;
        await link.write(
          Buffer.concat([Buffer.from(PROTO4_HANDSHAKE), encodeMessage(RECORD.accept, {})]),
        );
        return reader;
      } catch {
        return undefined;
      } finally {
        clearTimeout(timer);
      }
    }

    try {
      if (via === 'unix') {
        const unix = await listenOnUnix({
          links: wanted,
          onLink,
          engine,
          owner: policy.owner,
        });
        listener = unix;
        return { via, path: unix.path, token };
      }
      if (policy.tlsHost === undefined) {
        return {
          unavailable: 'it does not know the address that SSH came in on, or may not listen',
        };
      }
      const psk = randomBytes(32).toString('hex');
      const tls = await listenOnTls({
        links: wanted,
        onLink,
        host: policy.tlsHost,
        psk,
        engine,
      });
      listener = tls;
      return { via, port: tls.port, psk, token };
    } catch (error) {
      return { unavailable: error instanceof Error ? error.message : String(error) };
    }
  }

  return {
    open,
    whileSound,
    fail,
    async ended() {
      ending = true;
      stopListening();
      await whileSound(Promise.all(received));
    },
    close() {
      stopListening();
      for (const link of links) link.destroy();
    },
  };
}
