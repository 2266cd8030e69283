import { getSystemErrorMap } from 'node:util';

/**
 * What block devices and file systems answer and libuv has no name for: number, name and words
 * (asm-generic/errno.h, block/blk-core.c).
 */
const BEYOND_LIBUV: readonly [number, string, string][] = [
  [15, 'ENOTBLK', 'neither a block device nor a regular file'],
  [52, 'EBADE', 'reservation conflict'],
  [61, 'ENODATA', 'medium error'],
  [67, 'ENOLINK', 'link to the device lost'],
  [74, 'EBADMSG', 'bad data'],
  [117, 'EUCLEAN', 'file system is damaged'],
  [121, 'EREMOTEIO', 'remote i/o error'],
  [123, 'ENOMEDIUM', 'no medium'],
  [124, 'EMEDIUMTYPE', 'wrong medium type'],
];

const NAMES = new Map<number, string>();
const WORDS = new Map<string, string>();
for (const [number, [name, words]] of getSystemErrorMap()) learn(-number, name, words);
for (const [number, name, words] of BEYOND_LIBUV) learn(number, name, words);

function learn(number: number, name: string, words: string): void {
  NAMES.set(number, name);
  WORDS.set(name, words);
}

/** The name of a positive errno, such as `EIO` for 5. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${errno}`;
}

/** What an errno means, for a message: `i/o error (EIO)`. */
export function describeErrno(name: string): string {
  const words = WORDS.get(name);
  return words === undefined ? name : `${words} (${name})`;
}

/** Why a system call or a program failed, in words for a message; `errno` where there is one. */
export function reasonOf(cause: unknown): { errno?: string; words: string } {
  if (!(cause instanceof Error)) return { words: String(cause) };
  const { code } = cause as Error & { code?: unknown };
  if (typeof code !== 'string') return { words: cause.message };
  return { errno: code, words: WORDS.has(code) ? describeErrno(code) : cause.message };
}

/** The errno name of an error that node:fs threw; other errors are thrown again. */
export function errnoOf(error: unknown): string {
  if (error instanceof Error) {
    if ('errno' in error && typeof error.errno === 'number') return errnoName(-error.errno);
    // a zero byte in a path, which node:fs refuses before it asks the system
    if ('code' in error && error.code === 'ERR_INVALID_ARG_VALUE') return 'EINVAL';
  }
  throw error;
}
