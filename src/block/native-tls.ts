/** TLS of the addon's: what libssl decrypts goes to the buffers that are written, and no event. */
import type { TlsConnection, TlsKey, TlsListening } from './engine.js';
import { describeErrno, errnoName } from './errno.js';
import { type InputCall, inputOf } from './native-input.js';

/** Missing where Node has no TLS of OpenSSL's. */
export interface TlsAddon {
  listenTls(
    host: string,
    identity: string,
    psk: Buffer,
  ): { errno: number } | { handle: number; port: number };
  /** Answers the handle of a connection, or 0 after `closeTlsListener`. */
  acceptTls(listener: number, done: (handle: number) => void): void;
  readTls(link: number, ...call: Parameters<InputCall>): void;
  /** Answers 0 when all have been taken. */
  writeTls(link: number, bytes: Buffer): number;
  closeTls(link: number): void;
  closeTlsListener(listener: number): void;
}

export function hasTls(addon: Partial<TlsAddon>): addon is TlsAddon {
  return addon.listenTls !== undefined;
}

/** As `Engine.listenTls`. */
export function listenNative(addon: TlsAddon, host: string, key: TlsKey): TlsListening {
  const answer = addon.listenTls(host, key.identity, key.psk);
  if ('errno' in answer) throw new Error(describeErrno(errnoName(answer.errno)));
  const { handle, port } = answer;
  let closed = false;
  return {
    port,
    async accept() {
      if (closed) return undefined;
      const link = await new Promise<number>((done) => addon.acceptTls(handle, done));
      return link === 0 ? undefined : connectionOf(addon, link);
    },
    close() {
      closed = true;
      addon.closeTlsListener(handle);
    },
  };
}

function connectionOf(addon: TlsAddon, link: number): TlsConnection {
  let closed = false;
  return {
    source: inputOf('a link', (...call) => {
      if (closed) throw new Error('the link was closed');
      addon.readTls(link, ...call);
    }),
    write(bytes) {
      if (closed || addon.writeTls(link, bytes) !== 0) throw new Error('cannot write to a link');
    },
    close() {
      closed = true;
      addon.closeTls(link);
    },
  };
}
