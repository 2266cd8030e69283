/** zstd (RFC 8878) where this Node brings it: node:zlib from 22.15 on. */
import { LvmsyncError } from '../errors.js';
import { damaged } from './proto4.js';

interface TransformOptions {
  maxOutputLength?: number;
  params?: Record<number, number>;
}

type Transform = (
  bytes: Uint8Array,
  options: TransformOptions,
  done: (error: Error | null, result: Buffer) => void,
) => void;

/** ZSTD_d_windowLogMax of zstd.h: a frame may ask for a window, which is memory, of 2^27 bytes. */
const WINDOW_LOG_MAX_PARAMETER = 100;
/** What zstd's default level uses. */
const WINDOW_LOG_MAX = 21;

/** Whether both directions are there. */
export const zstdAvailable = 'zstd' in process.versions;

/** Off the main thread, at zlib's default level. */
export function zstdCompress(payload: Buffer): Promise<Buffer> {
  return run('zstdCompress', payload, {});
}

/**
 * @param decodedBytes exactly how long the result has to be; no more memory than that and a window of
 *   2 MiB is used
 * @throws LvmsyncError STREAM_DAMAGED; STREAM_UNKNOWN where there is no zstd
 */
export async function zstdDecompress(payload: Buffer, decodedBytes: number): Promise<Buffer> {
  if (!zstdAvailable) {
    throw new LvmsyncError(
      'STREAM_UNKNOWN',
      'the stream is compressed, and this Node has no zstd',
      {
        hint: 'use Node 22.15 or later here, or write the stream without --compress',
      },
    );
  }
  let decoded: Buffer;
  try {
    decoded = await run('zstdDecompress', payload, {
      maxOutputLength: decodedBytes,
      params: { [WINDOW_LOG_MAX_PARAMETER]: WINDOW_LOG_MAX },
    });
  } catch {
    throw damaged('a compressed payload cannot be decompressed');
  }
  if (decoded.length !== decodedBytes) {
    throw damaged(`a compressed payload of ${decodedBytes} bytes came out as ${decoded.length}`);
  }
  return decoded;
}

async function run(
  name: 'zstdCompress' | 'zstdDecompress',
  bytes: Buffer,
  options: TransformOptions,
): Promise<Buffer> {
  const zlib = await import('node:zlib'); // not before it is wanted
  const transform = (zlib as Partial<Record<typeof name, Transform>>)[name];
  if (transform === undefined) throw new Error('this Node has no zstd');
  return new Promise((resolve, reject) => {
    transform(bytes, options, (error, result) => (error ? reject(error) : resolve(result)));
  });
}
