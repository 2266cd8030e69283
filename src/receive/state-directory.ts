/**
 * Where a receiver keeps what must outlive it: spools, and how far interrupted transfers got. Each
 * target has its own names there, made of its identity.
 */
import { createHash } from 'node:crypto';
import { lstat, mkdir, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { LvmsyncError } from '../errors.js';

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

/** The files about one target; none of them need be there. */
export interface TargetState {
  readonly directory: string;
  /** A delta that is complete and may have been applied in part. */
  readonly spoolPath: string;
  /** A delta that was still coming in: of no use. */
  readonly partialSpoolPath: string;
  /** How far an interrupted transfer got. */
  readonly progressPath: string;
  /** Makes the directory. @throws LvmsyncError OPEN_FAILED */
  prepare(): Promise<void>;
  /** Forgets how far a transfer got: the target is about to hold something else. */
  forgetProgress(): Promise<void>;
}

/**
 * @param targetId as `identify` gives it
 * @throws LvmsyncError OPEN_FAILED when others can write to the directory: what is found in it is
 *   written to devices
 */
export async function openTargetState(directory: string, targetId: string): Promise<TargetState> {
  const name = createHash('sha256').update(targetId).digest('hex').slice(0, 40);
  const path = (kind: string) => join(directory, `${name}.${kind}`);
  const progressPath = path('progress');
  await assertPrivate(directory);
  return {
    directory,
    spoolPath: path('spool'),
    partialSpoolPath: path('spool.partial'),
    progressPath,
    prepare: () => makeDirectory(directory),
    forgetProgress: () => rm(progressPath, { force: true }),
  };
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: PRIVATE_MODE });
  } catch (cause) {
    const errno = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    throw unusable(directory, `cannot be made: ${errno}`, 'name another with --state-dir', cause);
  }
  await assertPrivate(directory);
}

async function assertPrivate(directory: string): Promise<void> {
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
