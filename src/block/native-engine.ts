import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { markAsUntransferable } from 'node:worker_threads';
import type { Batch } from './batch.js';
import { createBlockFile, type RawFile } from './block-file.js';
import type { BlockFile, Engine, OpenOptions } from './engine.js';
import { errnoName } from './errno.js';
import { type IoFailure, openError } from './io-errors.js';

/** What native/addon.cc exports. Every `done` is called once, with errno 0 for "no errno". */
interface Addon {
  allocate(bytes: number): ArrayBuffer;
  open(path: string, write: boolean, exclusive: boolean, done: (answer: OpenAnswer) => void): void;
  read: StartBatch;
  write: StartBatch;
  flush(handle: number, done: (errno: number) => void): void;
  close(handle: number, done: (errno: number) => void): void;
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

/**
 * The engine in C++: a whole batch for one crossing, on threads of its own.
 *
 * @throws Error when the addon is not built for this machine, or cannot be loaded
 */
export function createNativeEngine(): Engine {
  const require = createRequire(import.meta.url);
  const findAddon: (packageRoot: string) => Addon = require('node-gyp-build');
  const addon = findAddon(PACKAGE_ROOT);

  return {
    name: 'native',
    allocate(bytes) {
      const memory = addon.allocate(bytes);
      markAsUntransferable(memory); // the addon may be writing to it
      return Buffer.from(memory);
    },
    open: (path, options) => openNative(addon, path, options),
  };
}

async function openNative(addon: Addon, path: string, options: OpenOptions): Promise<BlockFile> {
  const exclusive = options.exclusive ?? false;
  const answer = await new Promise<OpenAnswer>((resolve) => {
    addon.open(path, options.mode === 'write', exclusive, resolve);
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
