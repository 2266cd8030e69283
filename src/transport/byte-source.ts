import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { reasonOf } from '../block/errno.js';
import { LvmsyncError } from '../errors.js';
import type { ByteSource } from '../stream/bytes.js';
import type { Answers } from './channel.js';
import { createWaiters } from './waiters.js';

/** Bytes that may wait here; more stay in the stream, which then holds its sender back. */
const WAITING_BYTES = 1 << 20;

/** The bytes of a Node stream. A stream error becomes the error of the next `read`. */
export function streamSource(stream: Readable, description: string): Answers {
  const chunks: Buffer[] = [];
  let waitingBytes = 0;
  let ended = stream.readableEnded;
  let closed = false;
  let discarding = false;
  let failure: { error: unknown } | undefined;
  const { wait, wake } = createWaiters();
  let waking = false;

  /** Once for all the chunks that one turn of the event loop brings. */
  function wakeSoon(): void {
    if (waking) return;
    waking = true;
    setImmediate(() => {
      waking = false;
      wake();
    });
  }

  // One copy from where the stream puts them: its own `read` would join them before.
  stream.on('data', (chunk: Buffer) => {
    if (discarding || chunk.length === 0) return;
    chunks.push(chunk);
    waitingBytes += chunk.length;
    if (waitingBytes >= WAITING_BYTES) stream.pause();
    wakeSoon();
  });
  stream.once('end', () => {
    ended = true;
    wake();
  });
  stream.on('error', (error) => {
    failure ??= { error };
    wake();
  });
  stream.once('close', () => {
    closed = true;
    wake();
  });

  function take(into: Buffer): number {
    let filled = 0;
    for (let chunk = chunks[0]; chunk !== undefined && filled < into.length; chunk = chunks[0]) {
      const copied = chunk.copy(into, filled);
      filled += copied;
      if (copied === chunk.length) chunks.shift();
      else chunks[0] = chunk.subarray(copied);
    }
    const wasFull = waitingBytes >= WAITING_BYTES;
    waitingBytes -= filled;
    if (wasFull && waitingBytes < WAITING_BYTES) stream.resume();
    return filled;
  }

  /** Whether there is something to read: false when nothing more will come. */
  async function arrive(): Promise<boolean> {
    for (;;) {
      if (chunks.length > 0) return true;
      if (failure !== undefined) throw failure.error;
      if (ended || closed) return false;
      await wait();
    }
  }

  return {
    description,
    arrive,
    async read(into) {
      while (await arrive()) {
        const filled = take(into);
        if (filled > 0) return filled; // else it was dropped meanwhile
      }
      if (ended) return 0;
      throw new Error(`${description} was closed`);
    },
    discard() {
      discarding = true;
      chunks.length = 0;
      waitingBytes = 0;
      stream.resume();
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
  const { words, ...errno } = reasonOf(cause);
  return new LvmsyncError(code, `${what}: ${words}`, {
    path,
    ...errno,
    hint: 'name a regular file that may be read',
    cause,
  });
}
