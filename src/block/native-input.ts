import { LvmsyncError } from '../errors.js';
import type { ByteSource } from '../stream/bytes.js';
import { describeErrno, errnoName } from './errno.js';

/** A call of the addon that fills a buffer, as a source. */
export function inputOf(
  description: string,
  start: (into: Buffer, done: (bytesOrNegativeErrno: number) => void) => void,
): ByteSource {
  return {
    description,
    async read(into) {
      const result = await new Promise<number>((resolve) => start(into, resolve));
      if (result >= 0) return result;
      const errno = errnoName(-result);
      throw new LvmsyncError('READ_FAILED', `cannot read ${description}: ${describeErrno(errno)}`, {
        errno,
        hint: 'what was to write to it has failed: see its own message',
      });
    },
  };
}
