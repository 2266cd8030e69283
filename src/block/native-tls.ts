/** TLS of the addon's: what libssl decrypts goes to the buffers that are written, and no event. */
import type { TlsAddress, TlsConnection, TlsKey, TlsListening } from './engine.js';
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
  connectTls(
    host: string,
    port: number,
    identity: string,
    psk: Buffer,
    timeoutMs: number,
    done: (answer: { handle: number } | { errno: number }) => void,
  ): void;
  /** Without bytes it ends what is written. */
  writeTls(link: number, bytes: Buffer, done: (errno: number) => void): void;
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

/** As `Engine.connectTls`. */
export async function connectNative(
  addon: TlsAddon,
  { host, port }: TlsAddress,
  { identity, psk }: TlsKey,
  timeoutMs: number,
): Promise<TlsConnection> {
  const answer = await new Promise<{ handle: number } | { errno: number }>((done) => {
    addon.connectTls(host, port, identity, psk, timeoutMs, done);
  });
  if ('handle' in answer) return connectionOf(addon, answer.handle);
  const errno = errnoName(answer.errno);
  if (errno === 'EPROTO') throw new Error('the other end did not prove that it has the key');
  if (errno === 'ETIMEDOUT') throw new Error(`no answer within ${timeoutMs / 1000} s`);
  throw new Error(describeErrno(errno));
}

const NOTHING = Buffer.alloc(0);

function connectionOf(addon: TlsAddon, link: number): TlsConnection {
  let closed = false;

  async function write(bytes: Buffer): Promise<void> {
    if (closed) throw new Error('the link was closed');
    const errno = await new Promise<number>((done) => addon.writeTls(link, bytes, done));
    if (errno !== 0) throw new Error(`cannot write to a link: ${describeErrno(errnoName(errno))}`);
  }

  return {
    source: inputOf('a link', (...call) => {
      if (closed) throw new Error('the link was closed');
      addon.readTls(link, ...call);
    }),
    async write(bytes) {
      if (bytes.length > 0) await write(bytes);
    },
    end: () => write(NOTHING),
    close() {
      closed = true;
      addon.closeTls(link);
    },
  };
}
