/** Where lvmsync keeps what must outlive a run. */
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { LvmsyncError } from '../errors.js';
import { lstat, makeDirectories } from '../files.js';
import { reasonOf } from './errno.js';

const PRIVATE_MODE = 0o700;
const WRITABLE_BY_OTHERS = 0o022;

/**
 * The directory that was asked for, or `$LVMSYNC_STATE_DIR`, or `/var/lib/lvmsync` for root, or
 * what the XDG Base Directory Specification says for others.
 */
export function stateDirectoryPath(asked?: string): string {
  const { LVMSYNC_STATE_DIR, XDG_STATE_HOME } = process.env;
  if (asked !== undefined) return resolve(asked);
  if (LVMSYNC_STATE_DIR) return resolve(LVMSYNC_STATE_DIR);
  if (process.geteuid?.() === 0) return '/var/lib/lvmsync';
  const isUsable = XDG_STATE_HOME !== undefined && isAbsolute(XDG_STATE_HOME);
  return join(isUsable ? XDG_STATE_HOME : join(homedir(), '.local/state'), 'lvmsync');
}

/** Makes the directory. @throws LvmsyncError OPEN_FAILED, also when others can write to it */
export async function makeStateDirectory(directory: string): Promise<void> {
  try {
    makeDirectories(directory, PRIVATE_MODE);
  } catch (cause) {
    const { words } = reasonOf(cause);
    throw unusable(directory, `cannot be made: ${words}`, 'name another with --state-dir', cause);
  }
  await assertPrivate(directory);
}

/**
 * Refuses a directory that others can write to: what is found in it is believed. One that is not
 * there is fine.
 *
 * @throws LvmsyncError OPEN_FAILED
 */
export async function assertPrivate(directory: string): Promise<void> {
  const stats = await lstat(directory).catch(() => undefined);
  if (stats === undefined) return;
  if (!stats.isDirectory()) {
    throw unusable(directory, 'is not a directory', 'name another with --state-dir');
  }
  const owner = process.geteuid?.();
  if (stats.uid !== owner || (stats.mode & WRITABLE_BY_OTHERS) !== 0) {
    throw unusable(
      directory,
      'can be written to by other users',
      `run chown ${owner} and chmod 700 on it, or name another with --state-dir`,
    );
  }
}

function unusable(path: string, why: string, hint: string, cause?: unknown): LvmsyncError {
  return new LvmsyncError('OPEN_FAILED', `the state directory ${path} ${why}`, {
    path,
    hint,
    ...(cause !== undefined && { cause }),
  });
}
