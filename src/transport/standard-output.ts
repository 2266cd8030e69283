import { createWriteStream, fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';

const STDOUT_FD = 1;

/**
 * Standard output as a stream that never blocks this thread, which `process.stdout` does on
 * pipes. Its bytes are out when the write's callback has fired.
 */
export function standardOutput(): Writable {
  const stats = fstatSync(STDOUT_FD);
  if (stats.isFIFO() || stats.isSocket()) {
    return new Socket({ fd: STDOUT_FD, readable: false, writable: true });
  }
  return createWriteStream('', { fd: STDOUT_FD, autoClose: false });
}
