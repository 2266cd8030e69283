import { useChecksumsOf } from '../checksum/at-once.js';
import type { Batch, Ranges } from './batch.js';
import { createBlockFile, type RawFile } from './block-file.js';
import type { ClearingWay, KernelClearing } from './clearing.js';
import type { BlockFile, Engine, OpenOptions } from './engine.js';
import { describeErrno, errnoName } from './errno.js';
import { hashPieces } from './hash-pieces.js';
import { loadAddon } from './installation.js';
import { type IoFailure, openError } from './io-errors.js';
import { completeLimits, type IoLimits } from './io-limits.js';
import { type InputCall, inputOf } from './native-input.js';
import {
  adoptSocket,
  connectByTls,
  hasTls,
  type LinkAddon,
  listenAtPath,
  listenForTls,
  type TlsAddon,
} from './native-links.js';
import { createNativeSealer, hasSealers, type SshAddon } from './native-ssh.js';

/** What native/addon.cc exports. Every `done` is called once, with errno 0 for "no errno". */
interface Addon extends LinkAddon, Partial<TlsAddon>, Partial<SshAddon> {
  allocate(bytes: number): ArrayBuffer;
  release(memory: ArrayBuffer): void;
  /** For all files; an io_uring keeps what it was started with. */
  setQueueDepth(requests: number): void;
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
  clear(
    handle: number,
    discard: boolean,
    offsets: Float64Array,
    lengths: Uint32Array,
    count: number,
    done: (errno: number) => void,
  ): void;
  flush(handle: number, done: (errno: number) => void): void;
  close(handle: number, done: (errno: number) => void): void;
  enlargePipe(fd: number): void;
  readInput(fd: number, ...call: Parameters<InputCall>): void;
  /** These answer at once, and then do not call `done`, where another thread is no help. */
  crc32c(bytes: Buffer, seed: number, done: (crc: number) => void): number | undefined;
  findZeroBlocks(
    bytes: Buffer,
    blockBytes: number,
    done: (found: Uint8Array) => void,
  ): Uint8Array | undefined;
  examine(
    bytes: Buffer,
    blockBytes: number,
    seed: number,
    done: (found: number | Uint8Array) => void,
  ): number | Uint8Array | undefined;
  findEqualBlocks(
    one: Buffer,
    other: Buffer,
    blockBytes: number,
    done: (found: Uint8Array) => void,
  ): Uint8Array | undefined;
  /** Missing where Node has no SHA-256 of OpenSSL's. */
  hashPieces?(
    buffer: Buffer,
    offsets: Float64Array,
    lengths: Uint32Array,
    positions: Uint32Array,
    count: number,
    done: (hashes: Uint8Array) => void,
  ): Uint8Array | undefined;
  crc32cAtOnce(bytes: Uint8Array, seed: number): number;
  /** As `hashPieces`. */
  sha256AtOnce?(bytes: Uint8Array): Buffer;
}

type OpenAnswer =
  | { errno: number }
  | {
      handle: number;
      blockDevice: boolean;
      sizeBytes: number;
      blockBytes: number;
      writeAlignBytes: number;
      thinVolume: boolean;
    };

type StartBatch = (
  handle: number,
  buffer: Buffer,
  offsets: Float64Array,
  lengths: Uint32Array,
  positions: Uint32Array,
  count: number,
  done: (failure: { errno: number; offset: number; length: number } | undefined) => void,
) => void;

/** What carries out the native engine's requests. */
export type IoChoice = 'auto' | 'io_uring' | 'threads';

/**
 * The engine in C++: a whole batch for one crossing, by an io_uring or on threads of its own.
 * `auto` takes io_uring where the kernel lets it; where it does not, the note says why.
 *
 * @throws Error when the addon is not built for this machine, or cannot be loaded; when `io_uring`
 *   was asked for and cannot be had
 */
export function createNativeEngine(
  io: IoChoice = 'auto',
  limits: IoLimits = completeLimits({}),
): { engine: Engine; note: string | undefined } {
  const addon = loadAddon() as Addon;
  addon.setQueueDepth(limits.queueDepth);
  useChecksumsOf({ crc32c: addon.crc32cAtOnce, sha256: addon.sha256AtOnce });
  const uringErrno = io === 'threads' ? undefined : addon.startUring();
  const uring = uringErrno === 0;
  const note = uringErrno ? `no io_uring here: ${describeErrno(errnoName(uringErrno))}` : undefined;
  if (io === 'io_uring' && note !== undefined) throw new Error(note);

  const engine: Engine = {
    name: 'native',
    backend: uring ? 'io_uring' : 'threads',
    limits,
    allocate: (bytes) => Buffer.from(addon.allocate(bytes)),
    release: (memory) => addon.release(memory.buffer as ArrayBuffer),
    crc32c: (bytes, seed = 0) => answer((done) => addon.crc32c(bytes, seed, done)),
    findZeroBlocks: (bytes, blockBytes) =>
      answer((done) => addon.findZeroBlocks(bytes, blockBytes, done)),
    examine: (bytes, blockBytes, crcSeed) =>
      answer<number | Uint8Array>((done) => addon.examine(bytes, blockBytes, crcSeed, done)),
    findEqualBlocks: (one, other, blockBytes) =>
      answer((done) => addon.findEqualBlocks(one, other, blockBytes, done)),
    hashPieces: (batch) => hashNative(addon, batch),
    open: (path, options) => openNative(engine, addon, path, options, uring),
    readInput(fd, description) {
      addon.enlargePipe(fd);
      return inputOf(description, (...call) => addon.readInput(fd, ...call));
    },
    adoptSocket: (fd) => adoptSocket(addon, fd),
    listenUnix: (path) => listenAtPath(addon, path),
    ...(hasTls(addon) && {
      listenTls: (host, key) => listenForTls(addon, host, key),
      connectTls: (...call) => connectByTls(addon, ...call),
    }),
    ...(hasSealers(addon) && {
      createSshSealer: (key, iv) => createNativeSealer(addon, key, iv),
    }),
  };
  return { engine, note };
}

async function hashNative(addon: Addon, batch: Batch): Promise<Buffer> {
  if (addon.hashPieces === undefined || batch.count === 0) return hashPieces(batch);
  const { buffer, offsets, lengths, positions, count } = batch;
  const hashes = await answer<Uint8Array>((done) =>
    addon.hashPieces?.(buffer, offsets, lengths, positions, count, done),
  );
  return Buffer.from(hashes.buffer, hashes.byteOffset, hashes.length);
}

function answer<T>(start: (done: (value: T) => void) => T | undefined): Promise<T> {
  return new Promise((resolve) => {
    const atOnce = start(resolve);
    if (atOnce !== undefined) resolve(atOnce);
  });
}

async function openNative(
  engine: Engine,
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
  const { handle, blockDevice, sizeBytes, blockBytes, writeAlignBytes, thinVolume } = answer;
  const kind = blockDevice ? 'block-device' : 'file';
  const kernel: KernelClearing = {
    alignBytes: writeAlignBytes,
    thinVolume,
    clear: (way, ranges) => clearRanges(addon, handle, way, ranges),
  };
  const raw = createRawFile(addon, handle, kernel);
  return createBlockFile({ path, kind, sizeBytes, blockBytes }, options.mode, raw, engine);
}

function createRawFile(addon: Addon, handle: number, kernel: KernelClearing): RawFile {
  return {
    kernel,
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

function clearRanges(
  addon: Addon,
  handle: number,
  way: ClearingWay,
  { offsets, lengths, count }: Ranges,
): Promise<string | undefined> {
  return new Promise<number>((done) => {
    addon.clear(handle, way === 'discard', offsets, lengths, count, done);
  }).then(nameOrNothing);
}

function nameOrNothing(errno: number): string | undefined {
  return errno === 0 ? undefined : errnoName(errno);
}
