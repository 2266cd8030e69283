import { LvmsyncError } from '../errors.js';

/** The first line of a classic stream or snapback: 17 bytes. */
export const PROTO3_HANDSHAKE = 'lvmsync PROTO[3]\n';

/** The first line of both directions of our own protocol: 17 bytes. */
export const PROTO4_HANDSHAKE = 'lvmsync PROTO[4]\n';

/** A handshake line is refused once it is longer than this, so a hostile peer costs nothing. */
export const MAX_HANDSHAKE_BYTES = 64;

export interface Handshake {
  protocol: 3 | 4;
  /** How many bytes the line took, line end included. */
  lineBytes: number;
}

/**
 * Reads the handshake line at the start of `bytes`.
 *
 * @returns undefined when the line is not complete yet
 * @throws LvmsyncError STREAM_UNKNOWN when it is not a stream that can be read
 */
export function parseHandshake(bytes: Buffer, name = 'the input'): Handshake | undefined {
  const lineEnd = bytes.subarray(0, MAX_HANDSHAKE_BYTES).indexOf(0x0a);
  if (lineEnd < 0) {
    if (bytes.length < MAX_HANDSHAKE_BYTES) return undefined;
    throw notAStream(name);
  }
  const line = bytes.toString('latin1', 0, lineEnd).replace(/\r$/, '');
  const label = /^lvmsync PROTO\[(\d{1,3})\](.*)$/.exec(line);
  if (label === null) throw notAStream(name);
  const [, version, rest] = label;
  if ((version === '3' || version === '4') && rest === '') {
    return { protocol: version === '3' ? 3 : 4, lineBytes: lineEnd + 1 };
  }
  if (rest !== '') {
    throw new LvmsyncError('STREAM_UNKNOWN', `PROTO[${version}] stream with an unknown extension`, {
      hint: 'the sender is newer than this lvmsync or is not lvmsync; use the same version on both ends',
    });
  }
  if (version === '1' || version === '2') {
    throw new LvmsyncError(
      'STREAM_UNKNOWN',
      `the stream was written by an old classic lvmsync that spoke PROTO[${version}], whose byte order is ambiguous`,
      { hint: 'write it again with this lvmsync, or with a classic lvmsync that speaks PROTO[3]' },
    );
  }
  throw new LvmsyncError(
    'STREAM_UNKNOWN',
    `the stream is PROTO[${version}], which this lvmsync does not know`,
    {
      hint: 'use the same version of lvmsync on both ends',
    },
  );
}

function notAStream(name: string): LvmsyncError {
  return new LvmsyncError(
    'STREAM_UNKNOWN',
    `${name} is not an lvmsync stream: it does not start with "lvmsync PROTO["`,
    {
      hint: 'name a stream or a snapback; if a program prints it, see that nothing else prints with it',
    },
  );
}
