import { crc32c } from '../checksum/crc32c.js';
import { LvmsyncError } from '../errors.js';
import type { ByteSource } from '../stream/bytes.js';
import { describeErrno, errnoName } from './errno.js';

/** What the addon answers. */
export interface InputAnswer {
  /** Or a negative errno. */
  bytes: number;
  /** 0 where no seed was given. */
  crc: number;
  /** With a seed: what was there already behind a buffer that was filled. It has been read, too. */
  ahead?: Buffer;
}

/** A call of the addon that fills a buffer. */
export type InputCall = (
  into: Buffer,
  crcSeed: number | undefined,
  done: (answer: InputAnswer) => void,
) => void;

const NOTHING = Buffer.alloc(0);

/** That call as a source. */
export function inputOf(description: string, start: InputCall): ByteSource {
  /** Comes before what the next call brings. */
  let ahead: Buffer = NOTHING;

  function takeAhead(into: Buffer): number {
    const bytes = ahead.copy(into);
    ahead = ahead.subarray(bytes);
    return bytes;
  }

  async function call(into: Buffer, crcSeed?: number): Promise<InputAnswer> {
    const answer = await new Promise<InputAnswer>((done) => start(into, crcSeed, done));
    if (answer.bytes < 0) throw readError(description, errnoName(-answer.bytes));
    ahead = answer.ahead ?? NOTHING;
    return answer;
  }

  return {
    description,
    async read(into) {
      if (ahead.length > 0) return takeAhead(into);
      const { bytes } = await call(into);
      return bytes;
    },
    async readChecked(into, crcSeed) {
      if (ahead.length === 0) return call(into, crcSeed);
      const bytes = takeAhead(into);
      return { bytes, crc: crc32c(into.subarray(0, bytes), crcSeed) };
    },
  };
}

function readError(description: string, errno: string): LvmsyncError {
  return new LvmsyncError('READ_FAILED', `cannot read ${description}: ${describeErrno(errno)}`, {
    errno,
    hint: 'what was to write to it has failed: see its own message',
  });
}
