/** A made volume that has changed since its snapshot: origin, exception store and target, as files. */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { dataChunk, storeBytesFor, writeStore } from '../support/cow-store.js';
import { type Content, seededContent } from './content.js';
import { type Range, sameRanges, writeRanges } from './ranges.js';

export interface VolumePlan {
  originBytes: number;
  chunkBytes: number;
  /** Numbers of the chunks that have changed, ascending. */
  changedChunks: readonly number[];
  /** How many bytes of each have; all unless said. */
  changedBytesPerChunk?: number;
  /** What the changed bytes are now. */
  content?: Content;
  /** Make one more file of the origin's size, for who writes anything anywhere. */
  withScratch?: true;
}

export interface Volume {
  originPath: string;
  storePath: string;
  targetPath: string;
  scratchPath: string;
  originBytes: number;
  /** Bytes in changed chunks. */
  changedBytes: number;
  /** Makes the target the base again, and has nothing of any file left in memory. */
  reset(): Promise<void>;
  /** Whether the target is the origin: all that has changed, and some of the rest. */
  isRight(): Promise<boolean>;
  /** Whether it is, to the last byte. */
  isIdentical(): Promise<boolean>;
  remove(): void;
}

const STEP_BYTES = 1 << 20;
const base = seededContent('base');

/** Disk that a plan needs at the most, in bytes. */
export function neededBytes(plan: VolumePlan): number {
  const { originBytes, chunkBytes, changedChunks, withScratch } = plan;
  return (withScratch ? 3 : 2) * originBytes + storeBytesFor(chunkBytes, changedChunks.length + 1);
}

export async function createVolume(directory: string, plan: VolumePlan): Promise<Volume> {
  const { originBytes, chunkBytes, changedChunks, content = seededContent('new') } = plan;
  const { changedBytesPerChunk = chunkBytes } = plan;
  const originPath = join(directory, 'origin');
  const storePath = join(directory, 'store');
  const targetPath = join(directory, 'target');
  const scratchPath = join(directory, 'scratch');
  const extents = joinChunks(changedChunks, chunkBytes);

  const whole = [{ offset: 0, length: originBytes }];
  await writeRanges(targetPath, 'w', whole, base);
  if (plan.withScratch) await writeRanges(scratchPath, 'w', whole, base);
  const isAllNew = changedChunks.length * changedBytesPerChunk === originBytes;
  if (!isAllNew) await writeRanges(originPath, 'w', whole, base);
  await writeRanges(
    originPath,
    isAllNew ? 'w' : 'r+',
    changedBytesPerChunk === chunkBytes
      ? extents
      : changedChunks.map((chunk) => ({
          offset: chunk * chunkBytes,
          length: changedBytesPerChunk,
        })),
    content,
  );
  const storedChunks = changedChunks.map((_, index) => dataChunk(chunkBytes, index));
  writeStore(storePath, {
    chunkBytes,
    storeBytes: storeBytesFor(chunkBytes, changedChunks.length + 1),
    exceptions: changedChunks.map((chunk, index) => [chunk, storedChunks[index]!] as const),
  });
  const kept = keptContent(changedChunks, storedChunks, chunkBytes);
  await writeRanges(storePath, 'r+', joinChunks(storedChunks, chunkBytes), kept);
  // Some of what has not changed, too.
  const samples = Array.from({ length: 64 }, (_, i) => ({
    offset: Math.floor(((originBytes / 64) * i) / STEP_BYTES) * STEP_BYTES,
    length: Math.min(65536, originBytes),
  }));

  return {
    originPath,
    storePath,
    targetPath,
    scratchPath,
    originBytes,
    changedBytes: changedChunks.length * chunkBytes,
    async reset() {
      await writeRanges(targetPath, 'r+', extents, base);
      for (const path of [originPath, storePath, targetPath]) dropCache(path);
    },
    isRight: () => sameRanges(originPath, targetPath, [...extents, ...samples]),
    isIdentical: () => sameRanges(originPath, targetPath, whole),
    remove() {
      for (const path of [originPath, storePath, targetPath, scratchPath])
        rmSync(path, { force: true });
    },
  };
}

/** What an exception store has of the base, where it keeps it. */
function keptContent(
  chunks: readonly number[],
  storedChunks: readonly number[],
  chunkBytes: number,
): Content {
  const origins = new Map(storedChunks.map((stored, index) => [stored, chunks[index]!]));
  return {
    fill(into, offset) {
      for (let at = 0; at < into.length; at += chunkBytes) {
        const chunk = origins.get((offset + at) / chunkBytes)!;
        base.fill(into.subarray(at, at + chunkBytes), chunk * chunkBytes);
      }
    },
  };
}

function joinChunks(chunks: readonly number[], chunkBytes: number): Range[] {
  const ranges: Range[] = [];
  for (const chunk of chunks) {
    const last = ranges.at(-1);
    if (last !== undefined && last.offset + last.length === chunk * chunkBytes) {
      last.length += chunkBytes;
    } else ranges.push({ offset: chunk * chunkBytes, length: chunkBytes });
  }
  return ranges;
}

/** GNU dd knows how to do that without being root (coreutils, dd: "nocache"). */
function dropCache(path: string): void {
  const args = [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none'];
  execFileSync('dd', args);
}
