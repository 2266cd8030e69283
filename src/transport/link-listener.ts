/** Where a receiver waits for further links of the sender that it talks to. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine, EngineLink, Listening } from '../block/engine.js';
import { chown, mkdtemp, rm } from '../files.js';
import { streamSource } from './byte-source.js';
import type { ReceivedLink } from './link.js';
import { createStreamWriter } from './stream-writer.js';
import { IDENTITY, pskServerOptions } from './tls-link.js';

/** Bytes that Node may read ahead of a link: of sixteen at once, in one turn of the event loop. */
const WAITING_BYTES = 64 << 10;

export interface LinkListener {
  /** Stops listening and removes the socket; what was accepted stays. */
  close(): void;
}

export interface ListenerOptions {
  /** How many may be connected at a time. */
  links: number;
  onLink(link: ReceivedLink): void;
}

export interface UnixListenerOptions extends ListenerOptions {
  engine: Pick<Engine, 'listenUnix'>;
  /** The user that must be able to connect, where that is not the one of this process. */
  owner?: number | undefined;
}

/** Listens on a socket in a directory that only the owner may enter. */
export async function listenOnUnix({
  engine,
  owner,
  ...options
}: UnixListenerOptions): Promise<LinkListener & { path: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'lvmsync-'));
  const path = join(directory, 'links');
  let listener: LinkListener | undefined;
  try {
    const listening = engine.listenUnix?.(path);
    listener =
      listening === undefined ? await listenByNode(path, options) : acceptAll(listening, options);
    if (owner !== undefined) {
      await chown(path, owner, -1);
      await chown(directory, owner, -1);
    }
    const { close } = listener;
    return {
      path,
      close() {
        close();
        rmSync(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    listener?.close();
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

export interface TlsListenerOptions extends ListenerOptions {
  /** The address to listen on; no other. */
  host: string;
  /** In hexadecimal. */
  psk: string;
  engine: Pick<Engine, 'listenTls'>;
}

/** Listens on a free TCP port for who has the key. */
export async function listenOnTls({
  host,
  psk,
  engine,
  ...options
}: TlsListenerOptions): Promise<LinkListener & { port: number }> {
  const key = { identity: IDENTITY, psk: Buffer.from(psk, 'hex') };
  const listening = engine.listenTls?.(host, key);
  if (listening !== undefined) {
    return { port: listening.port, ...acceptAll(listening, options) };
  }
  const { createServer: createTlsServer } = await import('node:tls'); // not before it is wanted
  const server = createTlsServer({ ...pskServerOptions(psk), highWaterMark: WAITING_BYTES });
  server.on('tlsClientError', () => {}); // whoever it was, it does not have the key
  const listener = await listen(server, { host, port: 0 }, 'secureConnection', options);
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { ...listener, port };
}

/** Accepts in the background until it is closed. */
function acceptAll(listening: Listening, { links, onLink }: ListenerOptions): LinkListener {
  let connected = 0;

  function take({ source, write, close }: EngineLink): void {
    if (connected === links) {
      close();
      return;
    }
    connected++;
    let isOpen = true;
    onLink({
      source,
      write,
      destroy() {
        if (isOpen) connected--;
        isOpen = false;
        close();
      },
    });
  }

  async function acceptNext(): Promise<void> {
    for (let link = await listening.accept(); link; link = await listening.accept()) take(link);
  }

  void acceptNext();
  return { close: listening.close };
}

async function listenByNode(path: string, options: ListenerOptions): Promise<LinkListener> {
  const server = createServer({ allowHalfOpen: true, highWaterMark: WAITING_BYTES });
  return listen(server, { path }, 'connection', options);
}

/** A connected socket with `allowHalfOpen`: whoever reads or writes meets its errors. */
function receivedLink(socket: Socket): ReceivedLink {
  socket.on('error', () => {});
  const writer = createStreamWriter(socket);
  return {
    source: streamSource(socket, 'a link'),
    write: (bytes) => writer.write(bytes),
    destroy: () => socket.destroy(),
  };
}

async function listen(
  server: Server,
  where: { path: string } | { host: string; port: number },
  event: 'connection' | 'secureConnection',
  { links, onLink }: ListenerOptions,
): Promise<LinkListener> {
  server.maxConnections = links;
  server.on(event, (socket: Socket) => onLink(receivedLink(socket)));
  server.listen({ ...where, exclusive: true });
  await once(server, 'listening');
  return { close: () => void server.close() };
}
