import { LvmsyncError } from '../errors.js';
import type { ByteSource } from '../stream/bytes.js';
import { type Handshake, MAX_HANDSHAKE_BYTES, parseHandshake } from '../stream/handshake.js';

/** The shortest line there is: nothing behind it is read with it. */
const SHORTEST_LINE_BYTES = 17;

/**
 * Reads the first line of a stream, and not a byte more.
 *
 * @throws LvmsyncError STREAM_UNKNOWN, STREAM_TRUNCATED when there is nothing at all
 */
export async function readHandshake(source: ByteSource): Promise<Handshake> {
  const line = Buffer.alloc(MAX_HANDSHAKE_BYTES);
  for (let used = 0; ; ) {
    const handshake = parseHandshake(line.subarray(0, used), source.description);
    if (handshake !== undefined) return handshake;
    const wanted = Math.max(SHORTEST_LINE_BYTES, used + 1);
    const readBytes = await source.read(line.subarray(used, wanted));
    if (readBytes === 0) throw cut(source, used);
    used += readBytes;
  }
}

function cut(source: ByteSource, used: number): LvmsyncError {
  const hint = 'the sender failed before it sent anything: see its own message';
  return used === 0
    ? new LvmsyncError('STREAM_TRUNCATED', `nothing came from ${source.description}`, { hint })
    : new LvmsyncError(
        'STREAM_UNKNOWN',
        `${source.description} is not an lvmsync stream: it ends inside its first line`,
        { hint },
      );
}
