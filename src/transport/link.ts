import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import type { EngineLink } from '../block/engine.js';
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

/** Bytes that may wait here before a write asks the sender to hold. */
const WAITING_BYTES = 1 << 20;

/** What is written goes to the link by a thread of the engine's, not by this one. */
export function engineInput({ write, end }: EngineLink): Writable {
  const input = new Writable({
    highWaterMark: WAITING_BYTES,
    autoDestroy: false, // the other direction goes on
    write(chunk: Buffer, _encoding, callback) {
      write(chunk).then(() => callback(), callback);
    },
    final(callback) {
      end().then(() => callback(), callback);
    },
  });
  input.on('error', () => {}); // whoever writes meets it
  return input;
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
