/** Long ranges of files, written and compared with the disk and the processor busy at once. */
import { type FileHandle, open } from 'node:fs/promises';
import type { Content } from './content.js';

export interface Range {
  offset: number;
  length: number;
}

const STEP_BYTES = 4 << 20;
/** After so much it starts to go to the disk. */
const SYNC_BYTES = 128 << 20;

export async function writeRanges(
  path: string,
  flags: 'w' | 'r+',
  ranges: readonly Range[],
  from: Content,
): Promise<void> {
  const file = await open(path, flags);
  const syncs: Promise<void>[] = [];
  try {
    let buffers = [Buffer.alloc(STEP_BYTES), Buffer.alloc(STEP_BYTES)] as const;
    let writing: Promise<unknown> = Promise.resolve();
    let written = 0;
    for (const { offset, length } of steps(ranges)) {
      const bytes = buffers[0].subarray(0, length);
      from.fill(bytes, offset);
      await writing;
      writing = file.write(bytes, 0, length, offset);
      buffers = [buffers[1], buffers[0]];
      written += length;
      if (written >= SYNC_BYTES) {
        written = 0;
        await syncs.pop();
        syncs.push(file.datasync());
      }
    }
    await writing;
    await Promise.all(syncs);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Whether two files hold the same in these ranges. */
export async function sameRanges(
  one: string,
  other: string,
  ranges: readonly Range[],
): Promise<boolean> {
  const files = await Promise.all([open(one, 'r'), open(other, 'r')]);
  try {
    const [first, second] = files;
    const [a, b] = [Buffer.alloc(STEP_BYTES), Buffer.alloc(STEP_BYTES)];
    for (const { offset, length } of steps(ranges)) {
      await Promise.all([readAll(first, a, length, offset), readAll(second, b, length, offset)]);
      if (a.compare(b, 0, length, 0, length) !== 0) return false;
    }
    return true;
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

async function readAll(file: FileHandle, into: Buffer, length: number, offset: number) {
  const { bytesRead } = await file.read(into, 0, length, offset);
  if (bytesRead < length) throw new Error('a file has become shorter');
}

function* steps(ranges: readonly Range[]): Generator<Range> {
  for (const { offset, length } of ranges) {
    for (let done = 0; done < length; done += STEP_BYTES) {
      yield { offset: offset + done, length: Math.min(STEP_BYTES, length - done) };
    }
  }
}
