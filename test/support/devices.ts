import { createCipheriv } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { mustRun } from './command.js';
import { createRandom } from './random.js';

const MIB = 1024 * 1024;

/** One write made to a device: its place and length in bytes. */
export interface Write {
  offset: number;
  length: number;
}

/** Seeded bytes, as fast as AES makes them; every (seed, part) gives its own. */
export function seededBytes(seed: number, part: number, count: number): Buffer {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed >>> 0, 0);
  const start = Buffer.alloc(16);
  start.writeUInt32BE(part >>> 0, 0);
  return createCipheriv('aes-128-ctr', key, start).update(Buffer.alloc(count));
}

/** The size of a device or file. */
export async function deviceBytes(path: string): Promise<number> {
  const stats = statSync(path);
  if (stats.isFile()) return stats.size;
  return Number(await mustRun('blockdev', ['--getsize64', path]));
}

/** Writes back and drops what the page cache holds of a device. */
async function flushCache(path: string): Promise<void> {
  if (!statSync(path).isFile()) await mustRun('blockdev', ['--flushbufs', path]);
}

/** Writes seeded bytes all over a device and flushes them. */
export async function fillDevice(path: string, seed: number): Promise<void> {
  const bytes = await deviceBytes(path);
  const fd = openSync(path, 'r+');
  try {
    for (let offset = 0, part = 0; offset < bytes; offset += MIB, part++) {
      const data = seededBytes(seed, part, Math.min(MIB, bytes - offset));
      writeSync(fd, data, 0, data.length, offset);
    }
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Writes new bytes at the given places, in that order, and flushes them. */
export function writeAt(path: string, seed: number, writes: Iterable<Write>): void {
  const fd = openSync(path, 'r+');
  try {
    let part = 0;
    for (const { offset, length } of writes) {
      writeSync(fd, seededBytes(seed, part++, length), 0, length, offset);
    }
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Seeded places for `count` writes of up to `maxBytes`, in whole 512-byte sectors. */
export function seededWrites(
  seed: number,
  count: number,
  maxBytes: number,
  deviceSize: number,
): Write[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => {
    const length = 512 * (1 + random.below(maxBytes / 512));
    return { offset: 512 * random.below((deviceSize - length) / 512 + 1), length };
  });
}

/** How two devices of one size differ, read from the disk rather than from the page cache. */
export interface Comparison {
  bytes: number;
  differingBlocks: number;
  /** Byte offset of the first block that differs; -1 when none does. */
  firstOffset: number;
}

/** Compares two devices whole, in blocks of `blockBytes` (default 4096), which divides 1 MiB. */
export async function compareDevices(
  left: string,
  right: string,
  blockBytes = 4096,
): Promise<Comparison> {
  const bytes = await deviceBytes(left);
  const rightBytes = await deviceBytes(right);
  if (bytes !== rightBytes) throw new Error(`${left}: ${bytes}, ${right}: ${rightBytes} bytes`);
  for (const path of [left, right]) await flushCache(path);
  const result = { bytes, differingBlocks: 0, firstOffset: -1 };
  const files = [openSync(left, 'r'), openSync(right, 'r')] as const;
  try {
    const buffers = [Buffer.alloc(MIB), Buffer.alloc(MIB)] as const;
    for (let offset = 0; offset < bytes; offset += MIB) {
      const length = Math.min(MIB, bytes - offset);
      files.forEach((fd, side) => {
        if (readSync(fd, buffers[side]!, 0, length, offset) !== length)
          throw new Error('short read');
      });
      if (buffers[0].subarray(0, length).equals(buffers[1].subarray(0, length))) continue;
      for (let at = 0; at < length; at += blockBytes) {
        const end = Math.min(at + blockBytes, length);
        if (buffers[0].subarray(at, end).equals(buffers[1].subarray(at, end))) continue;
        if (result.differingBlocks++ === 0) result.firstOffset = offset + at;
      }
    }
  } finally {
    for (const fd of files) closeSync(fd);
  }
  return result;
}

/** Fails unless the two devices hold the same bytes from end to end. */
export async function assertSameDevices(left: string, right: string): Promise<void> {
  const { bytes, differingBlocks, firstOffset } = await compareDevices(left, right);
  if (bytes === 0) throw new Error(`${left} is empty: nothing was compared`);
  if (differingBlocks > 0) {
    const where = `${differingBlocks} blocks of 4096, the first at ${firstOffset}`;
    throw new Error(`${left} and ${right} differ in ${where}`);
  }
}

/** Copies a device whole onto another that is at least as large, and flushes it. */
export async function copyDevice(source: string, target: string): Promise<void> {
  const args = [`if=${source}`, `of=${target}`, 'bs=1M', 'conv=fsync,notrunc', 'status=none'];
  await flushCache(source);
  await mustRun('dd', args);
}
