import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { LvmsyncError } from '../errors.js';
import type { ByteSource } from '../stream/bytes.js';

/** The bytes of a Node stream. A stream error becomes the error of the next `read`. */
export function streamSource(stream: Readable, description: string): ByteSource {
  const chunks: AsyncIterator<Buffer> = stream[Symbol.asyncIterator]();
  let chunk: Buffer = Buffer.alloc(0);
  return {
    description,
    async read(into) {
      while (chunk.length === 0) {
        const next = await chunks.next();
        if (next.done) return 0;
        chunk = next.value;
      }
      const length = chunk.copy(into);
      chunk = chunk.subarray(length);
      return length;
    },
  };
}

/** A regular file from its start; can be read again after `rewind`. */
export interface FileSource extends ByteSource {
  readonly path: string;
  rewind(): void;
  close(): Promise<void>;
}

/** @throws LvmsyncError OPEN_FAILED when the file cannot be read; READ_FAILED later on */
export async function openFileSource(path: string): Promise<FileSource> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    throw fileError('OPEN_FAILED', `cannot open ${path}`, path, cause);
  }
  let position = 0;
  return {
    description: path,
    path,
    async read(into) {
      try {
        const { bytesRead } = await file.read(into, 0, into.length, position);
        position += bytesRead;
        return bytesRead;
      } catch (cause) {
        throw fileError('READ_FAILED', `cannot read ${path} at offset ${position}`, path, cause);
      }
    },
    rewind() {
      position = 0;
    },
    close: () => file.close(),
  };
}

function fileError(
  code: 'OPEN_FAILED' | 'READ_FAILED',
  what: string,
  path: string,
  cause: unknown,
): LvmsyncError {
  const errno = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
  return new LvmsyncError(code, `${what}: ${errno}`, { path, errno, cause });
}
