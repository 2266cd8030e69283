import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import type { ByteSource } from '../stream/bytes.js';
import { streamSource } from './byte-source.js';

/** A way to a receiver beside the channel that it was started over. */
export interface Link {
  readonly input: Writable;
  /** What is answered. */
  readonly source: ByteSource;
  destroy(): void;
}

/** The same as its receiver has it. */
export interface ReceivedLink {
  readonly source: ByteSource;
  /** A short answer. @throws what the link failed with */
  write(bytes: Buffer): Promise<void>;
  destroy(): void;
}

/** Opens links to a unix socket on the far side, over one connection. */
export interface LinkOpener {
  /** @throws LvmsyncError CONNECT_FAILED, TRANSPORT_UNSUPPORTED */
  open(socketPath: string): Promise<Link>;
  close(): Promise<void>;
  /** Whether that connection is another one than the channel's. */
  readonly isApart?: true;
}

/** A connected socket with `allowHalfOpen`, so that each direction ends by itself. */
export function socketLink(socket: Socket, description: string): Link {
  socket.on('error', () => {}); // whoever reads or writes meets it
  return {
    input: socket,
    source: streamSource(socket, description),
    destroy: () => socket.destroy(),
  };
}
