/**
 * Locks that die with their process. A lock is an abstract unix socket, bound by name: the kernel
 * lets one process bind a name, and forgets it when that process ends, however it ends. So there
 * are no files that outlive a crash and none to clean up, and it works for read-only devices and
 * files alike. The name is known within one network namespace (containers that share a device
 * without sharing that are kept apart by O_EXCL alone), and any local user can bind it: the lock
 * keeps honest runs apart, it is no protection from a hostile one.
 */
import { connect, createServer } from 'node:net';
import { sha256Hex } from '../checksum/sha256.js';
import { LvmsyncError } from '../errors.js';
import type { Engine } from './engine.js';
import { reasonOf } from './errno.js';

/** `sun_path` of a unix socket address: filled whole, since Node versions pad it differently. */
const NAME_BYTES = 108;

/** What one process has for itself; `pool` stands for the metadata snapshot of a thin pool. */
export type LockKind = 'target' | 'snapshot' | 'pool' | 'migration' | 'replica';

export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes the lock, or refuses at once.
 *
 * @param identity as `identify` gives it
 * @param path for messages
 * @param engine binds the socket where it can: Node's takes longer to load than a small transfer
 *   takes to send
 * @throws LvmsyncError TARGET_IN_USE, SNAPSHOT_IN_USE
 */
export async function acquireLock(
  kind: LockKind,
  identity: string,
  path: string,
  engine: Pick<Engine, 'listenUnix'> = {},
): Promise<Lock> {
  const address = lockAddress(kind, identity);
  try {
    const listening = engine.listenUnix?.(address);
    if (listening === undefined) return await lockByNode(address);
    return { release: async () => listening.close() };
  } catch (cause) {
    const isHeld = (cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
    throw isHeld ? heldError(kind, path) : unavailable(path, cause);
  }
}

async function lockByNode(address: string): Promise<Lock> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path: address.padEnd(NAME_BYTES, '\0') }, resolve);
  });
  server.unref();
  return {
    release: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** Whether some process has the lock now. Nothing is taken, and nobody is disturbed. */
export function isLocked(kind: LockKind, identity: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path: lockAddress(kind, identity).padEnd(NAME_BYTES, '\0') });
    const answer = (locked: boolean) => {
      socket.destroy();
      resolve(locked);
    };
    socket.once('connect', () => answer(true));
    // An engine accepts nobody: who has asked often enough is told to try again (EAGAIN).
    socket.once('error', ({ code }: NodeJS.ErrnoException) => answer(code !== 'ECONNREFUSED'));
  });
}

function lockAddress(kind: LockKind, identity: string): string {
  return `\0lvmsync:${kind}:${sha256Hex(identity)}`;
}

const DOING = {
  snapshot: 'sending',
  pool: 'reading the metadata of',
  migration: 'migrating',
  replica: 'replicating',
};

function heldError(kind: LockKind, path: string): LvmsyncError {
  if (kind === 'target') {
    return new LvmsyncError('TARGET_IN_USE', `another lvmsync is writing to ${path}`, {
      path,
      hint: 'wait until it has ended, or end it (pgrep -a lvmsync shows it), and run this again',
    });
  }
  const doing = DOING[kind];
  return new LvmsyncError('SNAPSHOT_IN_USE', `another lvmsync is ${doing} ${path}`, {
    path,
    hint: 'wait until it has ended, or end it (pgrep -a lvmsync shows it), and run this again',
  });
}

function unavailable(path: string, cause: unknown): LvmsyncError {
  return new LvmsyncError('INTERNAL', `cannot lock ${path}: ${reasonOf(cause).words}`, {
    path,
    hint: 'abstract unix sockets do not work here; please report it',
    cause,
  });
}
