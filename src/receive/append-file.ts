import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { reasonOf } from '../block/errno.js';
import { LvmsyncError } from '../errors.js';

/** A file that only grows, by one caller at a time, and says what of it is written. */
export interface AppendFile {
  readonly path: string;
  /** Bytes written, all of them whole appends. */
  readonly bytes: number;
  append(...parts: Buffer[]): Promise<void>;
  /** Makes what is written durable (fdatasync). */
  sync(): Promise<void>;
  /** Forgets everything from `bytes` on. */
  truncate(bytes: number): Promise<void>;
  close(): Promise<void>;
}

export interface AppendFileOptions {
  path: string;
  /** For messages: `the snapback`. */
  what: string;
  /** What to do when it cannot be written. */
  hint: string;
}

/**
 * Opens the file, or creates it for this user alone, its name durable before this resolves.
 *
 * @throws LvmsyncError OPEN_FAILED; WRITE_FAILED from its functions
 */
export async function openAppendFile(options: AppendFileOptions): Promise<AppendFile> {
  const { path } = options;
  const attempt = <T>(act: () => Promise<T>) => named(options, 'WRITE_FAILED', act);
  const flags = constants.O_RDWR | constants.O_CREAT;
  const { file, sizeBytes } = await named(options, 'OPEN_FAILED', async () => {
    const opened = await open(path, flags, 0o600);
    await syncDirectory(dirname(path));
    return { file: opened, sizeBytes: (await opened.stat()).size };
  });
  let bytes = sizeBytes;
  let last: Promise<void> = Promise.resolve();

  async function write(parts: Buffer[]): Promise<void> {
    let at = bytes;
    for (const part of parts) {
      await writeAll(file, part, at);
      at += part.length;
    }
    bytes = at;
  }

  return {
    path,
    get bytes() {
      return bytes;
    },
    append(...parts) {
      const appended = last.then(() => attempt(() => write(parts)));
      last = appended.catch(() => undefined);
      return appended;
    },
    sync: () => attempt(() => file.datasync()),
    truncate: (to) =>
      attempt(async () => {
        await file.truncate(to);
        bytes = to;
      }),
    close: () => attempt(() => file.close()),
  };
}

/** Makes names in a directory durable, or their removal. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  await directory.sync().finally(() => directory.close());
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

async function named<T>(
  { path, what, hint }: AppendFileOptions,
  code: 'OPEN_FAILED' | 'WRITE_FAILED',
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    const { errno, words } = reasonOf(cause);
    throw new LvmsyncError(code, `cannot write ${what} ${path}: ${words}`, {
      path,
      ...(errno !== undefined && { errno }),
      hint,
      cause,
    });
  }
}
