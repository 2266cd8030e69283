/** Where runs in flight can be found: a unix socket for each, for their user alone. */
import { lstatSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { LvmsyncError } from '../errors.js';
import { makeDirectories } from '../files.js';

const PRIVATE_MODE = 0o700;
const ACCESS_OF_OTHERS = 0o077;

/**
 * `$LVMSYNC_RUN_DIR`, or `/run/lvmsync` for root, or a directory in `$XDG_RUNTIME_DIR` for others;
 * without that, one in the directory for temporary files.
 */
export function runDirectoryPath(): string {
  const { LVMSYNC_RUN_DIR, XDG_RUNTIME_DIR } = process.env;
  if (LVMSYNC_RUN_DIR) return resolve(LVMSYNC_RUN_DIR);
  const user = process.geteuid?.();
  if (user === 0) return '/run/lvmsync';
  if (XDG_RUNTIME_DIR !== undefined && isAbsolute(XDG_RUNTIME_DIR)) {
    return join(XDG_RUNTIME_DIR, 'lvmsync');
  }
  return join(tmpdir(), `lvmsync-${user}`);
}

/** Makes the directory where there is none. @throws LvmsyncError OPEN_FAILED */
export function makeRunDirectory(directory: string): void {
  try {
    makeDirectories(directory, PRIVATE_MODE);
  } catch (cause) {
    const errno = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    throw unusable(directory, `cannot be made: ${errno}`, cause);
  }
  assertOwn(directory);
}

/** Whoever can write to it could pose as a run. @throws LvmsyncError OPEN_FAILED */
export function assertOwn(directory: string): void {
  const stats = lstatSync(directory, { throwIfNoEntry: false });
  if (stats === undefined) return;
  const isOwn = stats.isDirectory() && stats.uid === process.geteuid?.();
  if (!isOwn || (stats.mode & ACCESS_OF_OTHERS) !== 0) {
    throw unusable(directory, 'is not a directory that only this user can use');
  }
}

function unusable(path: string, why: string, cause?: unknown): LvmsyncError {
  return new LvmsyncError('OPEN_FAILED', `the directory of the runs in flight, ${path}, ${why}`, {
    path,
    hint: 'remove it, or name another in LVMSYNC_RUN_DIR',
    ...(cause !== undefined && { cause }),
  });
}
