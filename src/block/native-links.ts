/** Links of the addon's: what comes goes to the buffers that are written, and no event. */
import type { EngineLink, Listening, TlsAddress, TlsKey, TlsListening } from './engine.js';
import { describeErrno, errnoName } from './errno.js';
import { type InputCall, inputOf } from './native-input.js';

export interface LinkAddon {
  listenUnix(path: string): { errno: number } | { handle: number };
  /** A link over a duplicate of the descriptor. */
  adoptSocket(fd: number): { errno: number } | { handle: number };
  /** Answers the handle of a link, or 0 after `closeListener`. */
  acceptLink(listener: number, done: (handle: number) => void): void;
  closeListener(listener: number): void;
  readLink(link: number, ...call: Parameters<InputCall>): void;
  /** Without bytes it ends what is written. */
  writeLink(link: number, bytes: Buffer, done: (errno: number) => void): void;
  closeLink(link: number): void;
}

/** Missing where Node has no TLS of OpenSSL's. */
export interface TlsAddon {
  listenTls(
    host: string,
    identity: string,
    psk: Buffer,
  ): { errno: number } | { handle: number; port: number };
  connectTls(
    host: string,
    port: number,
    identity: string,
    psk: Buffer,
    timeoutMs: number,
    done: (answer: { handle: number } | { errno: number }) => void,
  ): void;
}

export function hasTls(addon: Partial<TlsAddon>): addon is TlsAddon {
  return addon.listenTls !== undefined;
}

/** As `Engine.listenUnix`. */
export function listenAtPath(addon: LinkAddon, path: string): Listening {
  const answer = addon.listenUnix(path);
  if ('handle' in answer) return listeningOf(addon, answer.handle);
  const code = errnoName(answer.errno);
  throw Object.assign(new Error(describeErrno(code)), { code });
}

/** As `Engine.adoptSocket`. */
export function adoptSocket(addon: LinkAddon, fd: number): EngineLink {
  const answer = addon.adoptSocket(fd);
  if ('errno' in answer) throw new Error(describeErrno(errnoName(answer.errno)));
  return linkOf(addon, answer.handle);
}

/** As `Engine.listenTls`. */
export function listenForTls(addon: LinkAddon & TlsAddon, host: string, key: TlsKey): TlsListening {
  const answer = addon.listenTls(host, key.identity, key.psk);
  if ('errno' in answer) throw new Error(describeErrno(errnoName(answer.errno)));
  return { port: answer.port, ...listeningOf(addon, answer.handle) };
}

function listeningOf(addon: LinkAddon, handle: number): Listening {
  let closed = false;
  return {
    async accept() {
      if (closed) return undefined;
      const link = await new Promise<number>((done) => addon.acceptLink(handle, done));
      return link === 0 ? undefined : linkOf(addon, link);
    },
    close() {
      closed = true;
      addon.closeListener(handle);
    },
  };
}

/** As `Engine.connectTls`. */
export async function connectByTls(
  addon: LinkAddon & TlsAddon,
  { host, port }: TlsAddress,
  { identity, psk }: TlsKey,
  timeoutMs: number,
): Promise<EngineLink> {
  const answer = await new Promise<{ handle: number } | { errno: number }>((done) => {
    addon.connectTls(host, port, identity, psk, timeoutMs, done);
  });
  if ('handle' in answer) return linkOf(addon, answer.handle);
  const errno = errnoName(answer.errno);
  if (errno === 'EPROTO') throw new Error('the other end did not prove that it has the key');
  if (errno === 'ETIMEDOUT') throw new Error(`no answer within ${timeoutMs / 1000} s`);
  throw new Error(describeErrno(errno));
}

const NOTHING = Buffer.alloc(0);

function linkOf(addon: LinkAddon, link: number): EngineLink {
  let closed = false;

  async function write(bytes: Buffer): Promise<void> {
    if (closed) throw new Error('the link was closed');
    const errno = await new Promise<number>((done) => addon.writeLink(link, bytes, done));
    if (errno !== 0) throw new Error(`cannot write to a link: ${describeErrno(errnoName(errno))}`);
  }

  return {
    source: inputOf('a link', (...call) => {
      if (closed) throw new Error('the link was closed');
      addon.readLink(link, ...call);
    }),
    async write(bytes) {
      if (bytes.length > 0) await write(bytes);
    },
    end: () => write(NOTHING),
    close() {
      closed = true;
      addon.closeLink(link);
    },
  };
}
