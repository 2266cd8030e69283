import { createWriteStream, fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';

const STDOUT_FD = 1;

/** Standard output as a stream: see `outputTo`. */
export function standardOutput(): Writable {
  return outputTo(STDOUT_FD);
}

/**
 * An open descriptor as a stream that never blocks this thread, which `process.stdout` does on
 * pipes. Its bytes are out when the write's callback has fired.
 *
 * @throws the system's EBADF for one that is not open
 */
export function outputTo(fd: number): Writable {
  const stats = fstatSync(fd);
  if (stats.isFIFO() || stats.isSocket()) {
    return new Socket({ fd, readable: false, writable: true });
  }
  return createWriteStream('', { fd, autoClose: false });
}
