import type { Duplex } from 'node:stream';
import type { Channel, Client, NegotiatedAlgorithms } from 'ssh2';
import type { Engine } from '../../block/engine.js';
import { LvmsyncError } from '../../errors.js';
import { isTurnOver, nextTurn } from '../../extents/turns.js';
import { sshHostArgument } from '../destination.js';
import { chooseAlgorithms } from './algorithms.js';
import { type Authentication, authentication } from './authentication.js';
import { batchChannels } from './channel-batches.js';
import { encryptWith } from './ciphers.js';
import { type ConfigSource, resolveConfig, type SshConfig, type SshTarget } from './config.js';
import { startDeadline } from './deadline.js';
import { checkHostKey, loadHostKeys } from './host-key.js';
import { gatherIdentities } from './identities.js';
import { ignoreFurtherHostKeys, protocolOf, softwareOf } from './internals.js';
import { hasNativeCiphers, loadSsh2 } from './library.js';
import { parseJumps } from './proxy-jump.js';
import { isSealing } from './sealing-cipher.js';
import { oneLine, printable } from './server-text.js';
import { connectProxyCommand, connectTcp } from './socket.js';
import type { Terminal } from './terminal.js';

/** What a connection is made with. */
export interface ConnectContext {
  source: ConfigSource;
  /** Where questions are asked; `undefined` when there is nobody to ask. */
  terminal: Terminal | undefined;
  /** For `-v`: which cipher, which host. */
  onNote: (message: string) => void;
  onWarning: (message: string) => void;
  /** Encrypts what is sent, as far as it can. */
  engine: Pick<Engine, 'createSshSealer'>;
}

/** An authenticated connection to one host. */
export interface Connection {
  client: Client;
  config: SshConfig;
  /** Whether nothing but the network lies between. */
  isDirect: boolean;
  /** As the server names it, such as `OpenSSH_9.2p1`. */
  software: string;
  /** What encrypts what is sent. */
  cipher: string | undefined;
  /** What is written to a channel goes many packets at a time from here on, where that can be. */
  batch(channel: Channel): void;
  /** Why the connection ended, as far as that is known; for channels that were cut. */
  lossReason(): LvmsyncError;
  /** Ends it, and the connections it goes through. */
  close(): Promise<void>;
}

/** How long the last bytes may take to leave, in milliseconds. */
const CLOSE_GRACE_MS = 2000;

const MAX_JUMPS = 8;

/**
 * Connects and authenticates to `target`, through its ProxyJump hosts or its ProxyCommand.
 * `jumps`, when given, stands for the target's own ProxyJump.
 * @throws LvmsyncError CONNECT_FAILED, HOST_KEY_REFUSED, AUTHENTICATION_FAILED or
 * TRANSPORT_UNSUPPORTED
 */
export async function connectSsh(
  target: SshTarget,
  context: ConnectContext,
  jumps?: readonly SshTarget[],
  depth = 0,
): Promise<Connection> {
  // Loading ssh2 takes as long as asking ssh.
  const [config] = await Promise.all([resolveConfig(target, context.source), loadSsh2()]);
  if (depth > MAX_JUMPS) {
    throw new LvmsyncError(
      'CONNECT_FAILED',
      `ProxyJump leads through more than ${MAX_JUMPS} hosts`,
      {
        hint: 'a host of the SSH configuration probably jumps through itself',
      },
    );
  }
  if (isTurnOver()) await nextTurn();
  const path = await openPath(config, context, jumps, depth);
  try {
    const connection = await logIn(config, path.socket, context);
    return {
      ...connection,
      isDirect: path.isDirect,
      async close() {
        await connection.close();
        await path.close();
      },
    };
  } catch (error) {
    path.socket.destroy();
    await path.close();
    throw error;
  }
}

interface Path {
  socket: Duplex;
  isDirect: boolean;
  close(): Promise<void>;
}

async function openPath(
  config: SshConfig,
  context: ConnectContext,
  jumps: readonly SshTarget[] | undefined,
  depth: number,
): Promise<Path> {
  const hops = jumps ?? (config.proxyJump === undefined ? [] : parseJumps(config.proxyJump));
  const last = hops.at(-1);
  if (last !== undefined) {
    // As with `ssh -J`: the hosts before the last one take the place of its own ProxyJump.
    const before = hops.length > 1 ? hops.slice(0, -1) : undefined;
    const hop = await connectSsh(last, context, before, depth + 1);
    try {
      const socket = await forward(hop, config.hostName, config.port);
      return { socket, isDirect: false, close: () => hop.close() };
    } catch (error) {
      await hop.close();
      throw error;
    }
  }
  const socket =
    config.proxyCommand === undefined
      ? await connectTcp(config)
      : connectProxyCommand(config.proxyCommand, context.source.environment);
  return { socket, isDirect: config.proxyCommand === undefined, close: async () => {} };
}

function forward(hop: Connection, host: string, port: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    hop.client.forwardOut('127.0.0.1', 0, host, port, (error, channel) => {
      if (error === undefined) {
        hop.batch(channel);
        return resolve(channel);
      }
      const through = hop.config.originalHost;
      reject(
        new LvmsyncError(
          'CONNECT_FAILED',
          `cannot connect to ${host} port ${port} through ${through}`,
          {
            cause: error,
            hint: `${oneLine(error.message)}; check that ${through} reaches it and lets TCP be forwarded`,
          },
        ),
      );
    });
  });
}

async function logIn(
  config: SshConfig,
  socket: Duplex,
  context: ConnectContext,
): Promise<Omit<Connection, 'isDirect'>> {
  const name = sshHostArgument(config.user, config.hostName);
  let fatal: Error | undefined;
  let negotiated: NegotiatedAlgorithms | undefined;
  let proof: Authentication | undefined;
  let setClosed = () => {};
  const closed = new Promise<void>((resolve) => {
    setClosed = resolve;
  });
  const abort = (error: Error) => {
    fatal ??= error;
    socket.destroy();
    setClosed();
  };
  socket.on('error', abort);
  socket.once('close', setClosed);
  if (socket.errored) abort(socket.errored);
  const ssh2 = await loadSsh2();
  const client = new ssh2.Client();
  client.once('close', setClosed);
  client.on('error', (error) => {
    // A key that cannot sign is passed over, as with ssh; the next one is tried.
    if (error.level === 'agent' && !(error instanceof LvmsyncError)) context.onNote(error.message);
    else abort(error);
  });
  client.on('handshake', (algorithms) => {
    negotiated ??= algorithms;
  });
  client.on('banner', (text) => context.onNote(`${name}: ${printable(text).trimEnd()}`));
  const deadline = startDeadline(config.connectTimeoutMs, () => {
    abort(new Error(`no login within ${config.connectTimeoutMs / 1000} s`));
  });
  const terminal = deadline.holding(context.terminal);
  try {
    const [hostKeys, identities] = await Promise.all([
      loadHostKeys(config),
      gatherIdentities(ssh2, config, terminal),
    ]);
    for (const line of identities.skipped) context.onNote(`skipped ${line}`);
    proof = authentication(ssh2, config, identities, terminal, abort);
    let acceptedKey: Buffer | undefined;
    client.connect({
      sock: socket,
      username: config.user,
      readyTimeout: 0,
      keepaliveInterval: config.serverAliveIntervalMs,
      keepaliveCountMax: config.serverAliveCountMax,
      algorithms: chooseAlgorithms(config, hostKeys),
      authHandler: proof.handler,
      hostVerifier(key: Buffer, verify: (permitted: boolean) => void) {
        // Every new key exchange shows the key again; it must stay the one that was accepted.
        if (acceptedKey?.equals(key)) return verify(true);
        checkHostKey(key, hostKeys, { config, terminal, onWarning: context.onWarning }).then(
          () => {
            acceptedKey = Buffer.from(key);
            verify(true);
          },
          (error: Error) => {
            fatal ??= error;
            verify(false);
          },
        );
      },
    });
    encryptWith(client, context.engine, socket);
    ignoreFurtherHostKeys(client);
    const isReady = new Promise<boolean>((resolve) => client.once('ready', () => resolve(true)));
    const loggedIn = await Promise.race([isReady, closed.then(() => false)]);
    if (!loggedIn) throw fatal ?? new Error('the server closed the connection');
  } catch (error) {
    client.destroy();
    throw loginFailure(error, name, config, proof);
  } finally {
    deadline.stop();
  }
  if (negotiated !== undefined) {
    const words = `${describe(negotiated)}, ${await describeEncryption(client)}`;
    context.onNote(`connected to ${name} port ${config.port}: ${words}`);
  }
  return {
    client,
    config,
    software: softwareOf(client),
    cipher: negotiated?.cs.cipher,
    batch: batchChannels(client, socket),
    lossReason: () => lost(name, fatal),
    async close() {
      client.end();
      // Nothing is asked any more: what there is to say has only to leave.
      const timer = setTimeout(setClosed, CLOSE_GRACE_MS);
      socket.once('finish', setClosed);
      await closed;
      clearTimeout(timer);
      socket.destroy();
    },
  };
}

function describe({ cs, kex, serverHostKey }: NegotiatedAlgorithms): string {
  return `${cs.cipher}, ${kex}, host key ${serverHostKey}`;
}

async function describeEncryption(client: Client): Promise<string> {
  if (isSealing(protocolOf(client)._cipher)) return 'encrypted by the native engine';
  return (await hasNativeCiphers())
    ? 'native cipher binding'
    : 'no native cipher binding (slower: install with a compiler and install scripts allowed)';
}

function loginFailure(
  error: unknown,
  name: string,
  config: SshConfig,
  proof: Authentication | undefined,
): LvmsyncError {
  if (error instanceof LvmsyncError) return error;
  const message = oneLine(error instanceof Error ? error.message : String(error));
  if (/^All configured authentication methods failed/.test(message) && proof !== undefined) {
    return proof.failure();
  }
  if (/authentication failures/i.test(message) && proof !== undefined)
    return proof.failure(message);
  if (/no matching/i.test(message)) {
    return new LvmsyncError(
      'TRANSPORT_UNSUPPORTED',
      `${name}: the server offers nothing the built-in SSH may use: ${message}`,
      { cause: error, hint: 'use -e ssh, or look at Ciphers, KexAlgorithms and HostKeyAlgorithms' },
    );
  }
  return new LvmsyncError('CONNECT_FAILED', `${name} port ${config.port}: ${message}`, {
    cause: error,
    hint: `see whether \`ssh ${config.originalHost}\` works`,
  });
}

function lost(name: string, fatal: Error | undefined): LvmsyncError {
  const reason = fatal === undefined ? 'the server closed it' : oneLine(fatal.message);
  return new LvmsyncError('CONNECTION_LOST', `the connection to ${name} was lost: ${reason}`, {
    ...(fatal === undefined ? {} : { cause: fatal }),
    hint: 'check the network and that host, then run this again',
  });
}
