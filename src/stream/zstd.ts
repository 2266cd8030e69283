/** zstd (RFC 8878) where this Node brings it: node:zlib from 22.15 on. */
import * as zlib from 'node:zlib';
import { damaged } from './proto4.js';

type Transform = (
  bytes: Uint8Array,
  options: { maxOutputLength?: number },
  done: (error: Error | null, result: Buffer) => void,
) => void;

const compress = 'zstdCompress' in zlib ? (zlib.zstdCompress as Transform) : undefined;
const decompress = 'zstdDecompress' in zlib ? (zlib.zstdDecompress as Transform) : undefined;

/** Whether both directions are there. */
export const zstdAvailable = compress !== undefined && decompress !== undefined;

/** Off the main thread, at zlib's default level. */
export function zstdCompress(payload: Buffer): Promise<Buffer> {
  return run(compress, payload, {});
}

/**
 * @param decodedBytes exactly how long the result has to be; no more memory than that is used
 * @throws LvmsyncError STREAM_DAMAGED
 */
export async function zstdDecompress(payload: Buffer, decodedBytes: number): Promise<Buffer> {
  let decoded: Buffer;
  try {
    decoded = await run(decompress, payload, { maxOutputLength: decodedBytes });
  } catch {
    throw damaged('a compressed payload cannot be decompressed');
  }
  if (decoded.length !== decodedBytes) {
    throw damaged(`a compressed payload of ${decodedBytes} bytes came out as ${decoded.length}`);
  }
  return decoded;
}

function run(
  transform: Transform | undefined,
  bytes: Buffer,
  options: { maxOutputLength?: number },
): Promise<Buffer> {
  if (transform === undefined) return Promise.reject(new Error('this Node has no zstd'));
  return new Promise((resolve, reject) => {
    transform(bytes, options, (error, result) => (error ? reject(error) : resolve(result)));
  });
}
