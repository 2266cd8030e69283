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
 * @throws LvmsyncError TARGET_IN_USE, SNAPSHOT_IN_USE
 */
export async function acquireLock(kind: LockKind, identity: string, path: string): Promise<Lock> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(cause.code === 'EADDRINUSE' ? heldError(kind, path) : unavailable(path, cause)),
    );
    server.listen({ path: lockAddress(kind, identity) }, resolve);
  });
  server.unref();
  return {
    release: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** Whether some process has the lock now. Nothing is taken, and nobody is disturbed. */
export function isLocked(kind: LockKind, identity: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path: lockAddress(kind, identity) });
    const answer = (locked: boolean) => {
      socket.destroy();
      resolve(locked);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}

function lockAddress(kind: LockKind, identity: string): string {
  return `\0lvmsync:${kind}:${sha256Hex(identity)}`.padEnd(NAME_BYTES, '\0');
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

function unavailable(path: string, cause: NodeJS.ErrnoException): LvmsyncError {
  return new LvmsyncError('INTERNAL', `cannot lock ${path}: ${reasonOf(cause).words}`, {
    path,
    hint: 'abstract unix sockets do not work here; please report it',
    cause,
  });
}
