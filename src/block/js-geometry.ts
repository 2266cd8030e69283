import type { BigIntStats } from 'node:fs';
import { readFile } from '../files.js';
import type { FileFacts } from './block-file.js';

const SECTOR_BYTES = 512; // the unit of /sys/dev/block/*/size, whatever the device's block size

/**
 * Direct I/O on a file follows the file system's block, which is at most a page unless the device
 * underneath has larger ones.
 */
const FILE_BLOCK_BYTES = 4096;

export interface Geometry extends Omit<FileFacts, 'path'> {
  /** A device that is set read-only; many drivers say so only when it is written. */
  readOnly: boolean;
}

/** What an open file is; undefined when it is neither device nor file. */
export async function readGeometry(stats: BigIntStats): Promise<Geometry | undefined> {
  if (stats.isBlockDevice()) {
    const directory = sysDirectory(stats.rdev);
    const sizeBytes = await readSize(stats);
    const blockBytes = (await logicalBlockBytes(directory)) ?? FILE_BLOCK_BYTES;
    const readOnly = Number(await readFile(`${directory}/ro`, 'utf8')) !== 0;
    return { kind: 'block-device', sizeBytes, blockBytes, readOnly };
  }
  if (stats.isFile()) {
    const underneath = (await logicalBlockBytes(sysDirectory(stats.dev))) ?? 0;
    const blockBytes = Math.max(FILE_BLOCK_BYTES, underneath);
    return { kind: 'file', sizeBytes: await readSize(stats), blockBytes, readOnly: false };
  }
  return undefined;
}

/** In bytes, of a device or a file. */
export async function readSize(stats: BigIntStats): Promise<number> {
  if (!stats.isBlockDevice()) return Number(stats.size);
  const sectors = await readFile(`${sysDirectory(stats.rdev)}/size`, 'utf8');
  return Number(sectors) * SECTOR_BYTES;
}

/** `dev` as glibc encodes it (makedev in sys/sysmacros.h). */
function sysDirectory(dev: bigint): string {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  return `/sys/dev/block/${major}:${minor}`;
}

/** A partition has no queue of its own: its disk's is one directory up. */
async function logicalBlockBytes(directory: string): Promise<number | undefined> {
  for (const queue of ['queue', '../queue']) {
    try {
      return Number(await readFile(`${directory}/${queue}/logical_block_size`, 'utf8'));
    } catch {
      // not a disk, or a file system without a device: try the next place
    }
  }
  return undefined;
}
