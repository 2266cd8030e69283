/** Long ranges of files, written and hashed with the disk and the processor busy at once. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { allocatePages } from '#lvmsync/block/page-memory.js';
import type { Content } from './content.js';

export interface Range {
  offset: number;
  length: number;
}

const STEP_BYTES = 4 << 20;
/** What is as long goes past the page cache, which takes several times as long as the disk. */
const DIRECT_BYTES = 1 << 20;
const BLOCK_BYTES = 4096;
/** As many as Node has threads for. */
const READS_AT_ONCE = 4;

export async function writeRanges(
  path: string,
  flags: 'w' | 'r+',
  ranges: readonly Range[],
  from: Content,
): Promise<void> {
  const file = await openBothWays(path, flags === 'w' ? constants.O_CREAT | constants.O_TRUNC : 0);
  try {
    let buffers = [allocatePages(STEP_BYTES), allocatePages(STEP_BYTES)] as const;
    let writing: Promise<unknown> = Promise.resolve();
    for (const step of steps(ranges)) {
      const { offset, length } = step;
      const bytes = buffers[0].subarray(0, length);
      from.fill(bytes, offset);
      await writing;
      writing = file.for(step).write(bytes, 0, length, offset);
      buffers = [buffers[1], buffers[0]];
    }
    await writing;
    await file.sync();
  } finally {
    await file.close();
  }
}

/** SHA-256 of what a file holds in these ranges. */
export async function digestOf(path: string, ranges: readonly Range[]): Promise<string> {
  const file = await openBothWays(path);
  try {
    const hash = createHash('sha256');
    const reads: { bytes: Buffer; done: Promise<void> }[] = [];
    const buffers = Array.from({ length: READS_AT_ONCE }, () => allocatePages(STEP_BYTES));
    const hashOldest = async () => {
      const { bytes, done } = reads.shift()!;
      await done;
      hash.update(bytes);
    };
    for (const step of steps(ranges)) {
      if (reads.length === READS_AT_ONCE) await hashOldest();
      const buffer = buffers.shift()!;
      buffers.push(buffer);
      const bytes = buffer.subarray(0, step.length);
      reads.push({ bytes, done: readAll(file.for(step), bytes, step.offset) });
    }
    while (reads.length > 0) await hashOldest();
    return hash.digest('hex');
  } finally {
    await file.close();
  }
}

/** A file through the page cache, and past it where its file system can do that. */
async function openBothWays(path: string, flags = 0) {
  const file = await open(path, constants.O_RDWR | flags);
  const direct = await open(path, constants.O_RDWR | constants.O_DIRECT).catch(() => file);
  return {
    for({ offset, length }: Range): FileHandle {
      const isWhole = offset % BLOCK_BYTES === 0 && length % BLOCK_BYTES === 0;
      return isWhole && length >= DIRECT_BYTES ? direct : file;
    },
    sync: () => file.sync(),
    async close() {
      await Promise.all([...new Set([file, direct])].map((each) => each.close()));
    },
  };
}

async function readAll(file: FileHandle, into: Buffer, offset: number) {
  const { bytesRead } = await file.read(into, 0, into.length, offset);
  if (bytesRead < into.length) throw new Error('a file has become shorter');
}

function* steps(ranges: readonly Range[]): Generator<Range> {
  for (const { offset, length } of ranges) {
    for (let done = 0; done < length; done += STEP_BYTES) {
      yield { offset: offset + done, length: Math.min(STEP_BYTES, length - done) };
    }
  }
}
