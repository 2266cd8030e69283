import { close, constants, fstat, open, stat } from 'node:fs';
import { promisify } from 'node:util';
import { crc32cByTables } from '../checksum/crc32c.js';
import { LvmsyncError } from '../errors.js';
import { createBlockFile } from './block-file.js';
import { createBufferPool } from './buffer-pool.js';
import type { BlockFile, Engine, OpenOptions } from './engine.js';
import { findEqualBlocks } from './equal-blocks.js';
import { errnoOf } from './errno.js';
import { createGate } from './gate.js';
import { hashPieces } from './hash-pieces.js';
import { collectInOneGo } from './heap.js';
import { openError } from './io-errors.js';
import { completeLimits, type IoLimits } from './io-limits.js';
import { createJsFile } from './js-file.js';
import { readGeometry } from './js-geometry.js';
import { allocatePages, pageSize } from './page-memory.js';
import { MAX_REQUEST_BYTES } from './requests.js';
import { findZeroBlocks } from './zero-blocks.js';

const BOUNCE_BUFFERS = 16;

const openFd = promisify(open);
const closeFd = promisify(close);

/** The engine without native code: node:fs alone, on libuv's threads. */
export function createJsEngine(limits: IoLimits = completeLimits({})): Engine {
  collectInOneGo(); // what comes is read by Node's streams
  const pageAligned = new WeakSet<ArrayBufferLike>();
  const pageBytes = pageSize();
  const gate = createGate(limits.queueDepth);

  function allocate(bytes: number): Buffer {
    const buffer = allocatePages(bytes);
    pageAligned.add(buffer.buffer);
    return buffer;
  }

  const bounce = createBufferPool(
    { allocate },
    { bufferBytes: MAX_REQUEST_BYTES, count: BOUNCE_BUFFERS },
  );

  async function openBlockFile(path: string, options: OpenOptions): Promise<BlockFile> {
    const exclusive = options.exclusive ?? false;
    try {
      const { fd, direct } = await openDirect(path, options);
      try {
        const geometry = await readGeometry(await statFd(fd));
        if (!geometry) throw openError(path, 'ENOTBLK', exclusive);
        const { kind, sizeBytes, blockBytes, readOnly } = geometry;
        if (readOnly && options.mode === 'write') throw openError(path, 'EROFS', exclusive);
        const alignBytes = direct ? blockBytes : 1;
        const raw = createJsFile({
          fd,
          alignBytes,
          writeAlignBytes: direct ? Math.max(alignBytes, pageBytes) : 1,
          bounce,
          gate,
          isAligned: (buffer, position) =>
            alignBytes === 1 ||
            (pageAligned.has(buffer.buffer) && (buffer.byteOffset + position) % alignBytes === 0),
        });
        return createBlockFile({ path, kind, sizeBytes, blockBytes }, options.mode, raw, engine);
      } catch (error) {
        await closeFd(fd);
        throw error;
      }
    } catch (error) {
      if (error instanceof LvmsyncError) throw error;
      throw openError(path, errnoOf(error), exclusive);
    }
  }

  const engine: Engine = {
    name: 'js',
    limits,
    allocate,
    crc32c: async (bytes, seed) => crc32cByTables(bytes, seed),
    findZeroBlocks: async (bytes, blockBytes) => findZeroBlocks(bytes, blockBytes),
    async examine(bytes, blockBytes, crcSeed) {
      const isZero = findZeroBlocks(bytes, blockBytes);
      return isZero.includes(1) ? isZero : crc32cByTables(bytes, crcSeed);
    },
    findEqualBlocks: async (one, other, blockBytes) => findEqualBlocks(one, other, blockBytes),
    hashPieces: async (batch) => hashPieces(batch),
    open: openBlockFile,
  };
  return engine;
}

/** Opens with O_DIRECT, or buffered where the file system refuses that (EINVAL, open(2)). */
async function openDirect(
  path: string,
  { mode, exclusive }: OpenOptions,
): Promise<{ fd: number; direct: boolean }> {
  const stats = await statPath(path);
  // Opening a pipe would wait for its other end, and opening a tape would wind it.
  if (stats.isDirectory()) throw openError(path, 'EISDIR', false);
  if (!stats.isBlockDevice() && !stats.isFile()) throw openError(path, 'ENOTBLK', false);

  let flags = mode === 'write' ? constants.O_RDWR : constants.O_RDONLY;
  if (exclusive && stats.isBlockDevice()) flags |= constants.O_EXCL;
  try {
    return { fd: await openFd(path, flags | constants.O_DIRECT), direct: true };
  } catch (error) {
    if (errnoOf(error) !== 'EINVAL') throw error;
    return { fd: await openFd(path, flags), direct: false };
  }
}

function statPath(path: string) {
  return promisify(stat)(path, { bigint: true });
}

function statFd(fd: number) {
  return promisify(fstat)(fd, { bigint: true });
}
