/** What is reached for inside of ssh2. */
import type { Channel, Client } from 'ssh2';
import type { Cipher, Write } from 'ssh2/lib/protocol/crypto.js';

export interface Protocol {
  readonly _onWrite: Write;
  readonly _cipher: Cipher;
  /** While keys are exchanged, when nothing else may be sent. */
  readonly _kexinit: Buffer | undefined;
  readonly _handlers: { GLOBAL_REQUEST: GlobalRequestHandler };
}

type GlobalRequestHandler = (
  protocol: Protocol,
  name: string,
  wantReply: boolean,
  data: unknown,
) => void;

export interface Outgoing {
  readonly id: number;
  readonly packetSize: number;
  readonly state: string;
  /** What the server still takes. */
  window: number;
}

/** Of a stream, and what it goes on with when the server takes more. */
export interface ChannelInsides {
  readonly outgoing: Outgoing;
  _write(data: Buffer, encoding: BufferEncoding, callback: WriteCallback): void;
  _waitWindow: boolean;
  _chunk: Buffer | undefined;
  _chunkcb: WriteCallback | undefined;
}

type WriteCallback = (error?: Error | null) => void;

interface ClientInsides {
  _protocol: Protocol;
  _remoteVer: string | undefined;
}

/** There once `client` has begun to connect. */
export function protocolOf(client: Client): Protocol {
  return (client as unknown as ClientInsides)._protocol;
}

/** What OpenSSH's server tells its further host keys by (PROTOCOL, section 2.5). */
const FURTHER_HOST_KEYS = 'hostkeys-00@openssh.com';

/**
 * From then on `client`, which has begun to connect, takes no notice of further host keys. ssh2 has
 * the server prove each of them, some milliseconds at either end just when a transfer begins, for an
 * event that nobody here waits for. Something is sent in its place, which the server refuses by
 * itself: what a server's kernel has next waits until the client's has acknowledged what came
 * before, which takes 40 ms where nothing goes the other way (RFC 896, and RFC 1122, section
 * 4.2.3.2).
 */
export function ignoreFurtherHostKeys(client: Client): void {
  const handlers = protocolOf(client)._handlers;
  const { GLOBAL_REQUEST: handle } = handlers;
  handlers.GLOBAL_REQUEST = (protocol, name, wantReply, data) => {
    if (name !== FURTHER_HOST_KEYS || wantReply) return handle(protocol, name, wantReply, data);
    try {
      client.unforwardIn('localhost', 1, () => {});
    } catch {
      // the connection is gone: who uses it will say so
    }
  };
}

/** How a server has named itself, such as `OpenSSH_9.2p1`: RFC 4253, section 4.2. */
export function softwareOf(client: Client): string {
  return (client as unknown as ClientInsides)._remoteVer ?? '';
}

export function insidesOf(channel: Channel): ChannelInsides {
  return channel as unknown as ChannelInsides;
}
