import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { markAsUntransferable } from 'node:worker_threads';
import { LvmsyncError } from '../errors.js';
import type { Batch } from './batch.js';
import { createBlockFile, type RawFile } from './block-file.js';
import type { BlockFile, Engine, OpenOptions } from './engine.js';
import { describeErrno, errnoName } from './errno.js';
import { type IoFailure, openError } from './io-errors.js';

/** What native/addon.cc exports. Every `done` is called once, with errno 0 for "no errno". */
interface Addon {
  allocate(bytes: number): ArrayBuffer;
  /** Answers 0, or the errno that says why there is no io_uring. */
  startUring(): number;
  open(
    path: string,
    write: boolean,
    exclusive: boolean,
    uring: boolean,
    done: (answer: OpenAnswer) => void,
  ): void;
  read: StartBatch;
  write: StartBatch;
  flush(handle: number, done: (errno: number) => void): void;
  close(handle: number, done: (errno: number) => void): void;
  enlargePipe(fd: number): void;
  readInput(fd: number, buffer: Buffer, done: (bytesOrNegativeErrno: number) => void): void;
  /** These three answer at once, and then do not call `done`, where another thread is no help. */
  crc32c(bytes: Buffer, seed: number, done: (crc: number) => void): number | undefined;
  findZeroBlocks(
    bytes: Buffer,
    blockBytes: number,
    done: (found: Uint8Array) => void,
  ): Uint8Array | undefined;
  findEqualBlocks(
    one: Buffer,
    other: Buffer,
    blockBytes: number,
    done: (found: Uint8Array) => void,
  ): Uint8Array | undefined;
}

type OpenAnswer =
  | { errno: number }
  | { handle: number; blockDevice: boolean; sizeBytes: number; blockBytes: number };

type StartBatch = (
  handle: number,
  buffer: Buffer,
  offsets: Float64Array,
  lengths: Uint32Array,
  positions: Uint32Array,
  count: number,
  done: (failure: { errno: number; offset: number; length: number } | undefined) => void,
) => void;

const PACKAGE_ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What carries out the native engine's requests. */
export type IoChoice = 'auto' | 'io_uring' | 'threads';

/**
 * The engine in C++: a whole batch for one crossing, by an io_uring or on threads of its own.
 * `auto` takes io_uring where the kernel lets it.
 *
 * @throws Error when the addon is not built for this machine, or cannot be loaded; when `io_uring`
 *   was asked for and cannot be had
 */
export function createNativeEngine(io: IoChoice = 'auto'): Engine {
  const require = createRequire(import.meta.url);
  const findAddon: (packageRoot: string) => Addon = require('node-gyp-build');
  const addon = findAddon(PACKAGE_ROOT);
  const uringErrno = io === 'threads' ? undefined : addon.startUring();
  const uring = uringErrno === 0;
  if (io === 'io_uring' && uringErrno) {
    throw new Error(`no io_uring here: ${describeErrno(errnoName(uringErrno))}`);
  }

  return {
    name: 'native',
    backend: uring ? 'io_uring' : 'threads',
    allocate(bytes) {
      const memory = addon.allocate(bytes);
      markAsUntransferable(memory); // the addon may be writing to it
      return Buffer.from(memory);
    },
    crc32c: (bytes, seed = 0) => answer((done) => addon.crc32c(bytes, seed, done)),
    findZeroBlocks: (bytes, blockBytes) =>
      answer((done) => addon.findZeroBlocks(bytes, blockBytes, done)),
    findEqualBlocks: (one, other, blockBytes) =>
      answer((done) => addon.findEqualBlocks(one, other, blockBytes, done)),
    open: (path, options) => openNative(addon, path, options, uring),
    readInput(fd, description) {
      addon.enlargePipe(fd);
      return { description, read: (into) => readInput(addon, fd, into, description) };
    },
  };
}

async function readInput(
  addon: Addon,
  fd: number,
  into: Buffer,
  description: string,
): Promise<number> {
  const result = await new Promise<number>((resolve) => addon.readInput(fd, into, resolve));
  if (result >= 0) return result;
  const errno = errnoName(-result);
  throw new LvmsyncError('READ_FAILED', `cannot read ${description}: ${errno}`, {
    errno,
    hint: 'what was to write to it has failed: see its own message',
  });
}

function answer<T>(start: (done: (value: T) => void) => T | undefined): Promise<T> {
  return new Promise((resolve) => {
    const atOnce = start(resolve);
    if (atOnce !== undefined) resolve(atOnce);
  });
}

async function openNative(
  addon: Addon,
  path: string,
  options: OpenOptions,
  uring: boolean,
): Promise<BlockFile> {
  const exclusive = options.exclusive ?? false;
  const answer = await new Promise<OpenAnswer>((resolve) => {
    addon.open(path, options.mode === 'write', exclusive, uring, resolve);
  });
  if ('errno' in answer) throw openError(path, errnoName(answer.errno), exclusive);
  const { handle, blockDevice, sizeBytes, blockBytes } = answer;
  const kind = blockDevice ? 'block-device' : 'file';
  const raw = createRawFile(addon, handle);
  return createBlockFile({ path, kind, sizeBytes, blockBytes }, options.mode, raw);
}

function createRawFile(addon: Addon, handle: number): RawFile {
  return {
    read: (batch) => runBatch(addon.read, handle, batch),
    write: (batch) => runBatch(addon.write, handle, batch),
    flush: () => new Promise<number>((done) => addon.flush(handle, done)).then(nameOrNothing),
    close: () => new Promise<number>((done) => addon.close(handle, done)).then(nameOrNothing),
  };
}

function runBatch(start: StartBatch, handle: number, batch: Batch): Promise<IoFailure | undefined> {
  const { buffer, offsets, lengths, positions, count } = batch;
  return new Promise((resolve) => {
    start(handle, buffer, offsets, lengths, positions, count, (failure) =>
      resolve(failure && { ...failure, errno: nameOrNothing(failure.errno) }),
    );
  });
}

function nameOrNothing(errno: number): string | undefined {
  return errno === 0 ? undefined : errnoName(errno);
}
