/** What is reached for inside of ssh2. */
import type { Channel, Client } from 'ssh2';
import type { Cipher, Write } from 'ssh2/lib/protocol/crypto.js';

export interface Protocol {
  readonly _onWrite: Write;
  readonly _cipher: Cipher;
  /** While keys are exchanged, when nothing else may be sent. */
  readonly _kexinit: Buffer | undefined;
}

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

/** How a server has named itself, such as `OpenSSH_9.2p1`: RFC 4253, section 4.2. */
export function softwareOf(client: Client): string {
  return (client as unknown as ClientInsides)._remoteVer ?? '';
}

export function insidesOf(channel: Channel): ChannelInsides {
  return channel as unknown as ChannelInsides;
}
