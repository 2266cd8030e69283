import { type ErrorDetails, LvmsyncError } from '../errors.js';
import { describeErrno } from './errno.js';

/** A request that failed; both engines report failures like this. */
export interface IoFailure {
  /** The system's name, such as `EIO`; undefined when the device ended where it should not. */
  errno: string | undefined;
  /** First byte and length of the failed request on the device. */
  offset: number;
  length: number;
}

const OPEN_HINTS: Record<string, string> = {
  ENOENT: 'check the path; lvmsync never creates a device or a file',
  EACCES: 'run it as root, or as a user who may open it',
  EPERM: 'run it as root, or as a user who may open it',
  EISDIR: 'name a block device or a regular file',
  ENOTBLK: 'name a block device or a regular file',
  EROFS: 'make it writable, or name another target',
  ENXIO: 'the device node has no device behind it: activate the volume',
};

const IO_HINTS: Record<string, string> = {
  EIO: 'look at the kernel log (dmesg) for the device underneath, and replace what fails',
  ENOSPC: 'make room on the file system or the thin pool underneath, then run it again',
  EBADF: 'it is not open for this operation: an error in lvmsync, please report it',
};

const SHRUNK_HINT = 'the device or file became smaller during the run: run it again';
const DEFAULT_IO_HINT = 'look at the kernel log (dmesg) for what the device reported';

export function openError(path: string, errno: string, exclusive: boolean): LvmsyncError {
  if (exclusive && errno === 'EBUSY') {
    return new LvmsyncError('TARGET_IN_USE', `${path} is in use`, {
      path,
      errno,
      hint: 'unmount it, or close what holds it (lsblk and fuser show what that is)',
    });
  }
  const hint = OPEN_HINTS[errno] ?? 'check that the path names a working device or file';
  return new LvmsyncError('OPEN_FAILED', `cannot open ${path}: ${describeErrno(errno)}`, {
    path,
    errno,
    hint,
  });
}

export function ioError(
  code: 'READ_FAILED' | 'WRITE_FAILED',
  path: string,
  offset: number,
  errno: string | undefined,
): LvmsyncError {
  const verb = code === 'READ_FAILED' ? 'read' : 'write';
  const what = errno === undefined ? 'it ends before its size' : describeErrno(errno);
  const details: ErrorDetails = { path, offset };
  details.hint = errno === undefined ? SHRUNK_HINT : (IO_HINTS[errno] ?? DEFAULT_IO_HINT);
  if (errno !== undefined) details.errno = errno;
  return new LvmsyncError(code, `cannot ${verb} ${path} at byte ${offset}: ${what}`, details);
}

export function flushError(path: string, errno: string): LvmsyncError {
  return new LvmsyncError('FLUSH_FAILED', `cannot flush ${path}: ${describeErrno(errno)}`, {
    path,
    errno,
    hint: 'what was written may be lost: find the cause (dmesg), then run it again',
  });
}

export function pastEndError(
  path: string,
  offset: number,
  length: number,
  sizeBytes: number,
): LvmsyncError {
  return new LvmsyncError(
    'PAST_END',
    `bytes ${offset} to ${offset + length} lie beyond the end of ${path} (${sizeBytes} bytes)`,
    { path, offset, hint: 'check that source and target belong together and are of the same size' },
  );
}
