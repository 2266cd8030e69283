/** A made volume that has changed since its snapshot: origin, exception store and target, as files. */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { dataChunk, storeBytesFor, writeStore } from '../support/cow-store.js';
import { type Content, seededContent } from './content.js';
import { digestOf, type Range, writeRanges } from './ranges.js';

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
  /**
   * Makes the target the base of what is to be moved, and has nothing of any file left in memory.
   * Where everything has changed and the last one has moved it, that is the base of the way back.
   */
  reset(): Promise<void>;
  /** Whether the target is the origin: all that has changed, and some of the rest. */
  isRight(): Promise<boolean>;
  remove(): void;
}

/** What there is now, and what there was: as an origin and its exception store. */
interface Side {
  originPath: string;
  storePath: string;
  content: Content;
  base: Content;
  /** Of the origin, once it was wanted: of what has changed, and some of the rest. */
  digest?: string;
}

const STEP_BYTES = 1 << 20;
const base = seededContent('base');

/** Disk that a plan needs at the most, in bytes. */
export function neededBytes(plan: VolumePlan): number {
  const { originBytes, chunkBytes, changedChunks, withScratch } = plan;
  const sideBytes = originBytes + storeBytesFor(chunkBytes, changedChunks.length + 1);
  return (withScratch ? 2 : 1) * originBytes + (goesBothWays(plan) ? 2 : 1) * sideBytes;
}

/** Whether the base, moved onto what there is now, would be the same work. */
function goesBothWays(plan: VolumePlan): boolean {
  return isAllNew(plan) && plan.content === undefined;
}

function isAllNew({ originBytes, chunkBytes, changedChunks, changedBytesPerChunk }: VolumePlan) {
  return changedChunks.length * (changedBytesPerChunk ?? chunkBytes) === originBytes;
}

export async function createVolume(directory: string, plan: VolumePlan): Promise<Volume> {
  const { originBytes, chunkBytes, changedChunks, content = seededContent('new') } = plan;
  const targetPath = join(directory, 'target');
  const scratchPath = join(directory, 'scratch');
  const there: Side = {
    originPath: join(directory, 'origin'),
    storePath: join(directory, 'store'),
    content,
    base,
  };
  const back: Side = {
    originPath: join(directory, 'origin-back'),
    storePath: join(directory, 'store-back'),
    content: base,
    base: content,
  };
  const extents = joinChunks(changedChunks, chunkBytes);
  const whole = [{ offset: 0, length: originBytes }];
  await writeRanges(targetPath, 'w', whole, base);
  if (plan.withScratch) await writeRanges(scratchPath, 'w', whole, base);
  await createSide(there, plan, extents);
  if (goesBothWays(plan)) await createSide(back, plan, extents);
  // Some of what has not changed, too.
  const samples = Array.from({ length: 64 }, (_, i) => ({
    offset: Math.floor(((originBytes / 64) * i) / STEP_BYTES) * STEP_BYTES,
    length: Math.min(65536, originBytes),
  }));

  let side = there;
  let isMoved = false;
  return {
    get originPath() {
      return side.originPath;
    },
    get storePath() {
      return side.storePath;
    },
    targetPath,
    scratchPath,
    originBytes,
    changedBytes: changedChunks.length * chunkBytes,
    async reset() {
      if (isMoved && goesBothWays(plan)) side = side === there ? back : there;
      else await writeRanges(targetPath, 'r+', extents, side.base);
      isMoved = false;
      for (const path of [side.originPath, side.storePath, targetPath]) dropCache(path);
    },
    async isRight() {
      const ranges = [...extents, ...samples];
      side.digest ??= await digestOf(side.originPath, ranges);
      isMoved = (await digestOf(targetPath, ranges)) === side.digest;
      return isMoved;
    },
    remove() {
      const paths = [there, back].flatMap(({ originPath, storePath }) => [originPath, storePath]);
      for (const path of [...paths, targetPath, scratchPath]) rmSync(path, { force: true });
    },
  };
}

async function createSide(
  { originPath, storePath, content, base }: Side,
  plan: VolumePlan,
  extents: readonly Range[],
): Promise<void> {
  const { originBytes, chunkBytes, changedChunks } = plan;
  const { changedBytesPerChunk = chunkBytes } = plan;
  const whole = [{ offset: 0, length: originBytes }];
  if (!isAllNew(plan)) await writeRanges(originPath, 'w', whole, base);
  await writeRanges(
    originPath,
    isAllNew(plan) ? 'w' : 'r+',
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
  const kept = keptContent(base, changedChunks, storedChunks, chunkBytes);
  await writeRanges(storePath, 'r+', joinChunks(storedChunks, chunkBytes), kept);
}

/** What an exception store has of the base, where it keeps it. */
function keptContent(
  base: Content,
  chunks: readonly number[],
  storedChunks: readonly number[],
  chunkBytes: number,
): Content {
  const origins = new Map(storedChunks.map((stored, index) => [stored, chunks[index]!]));
  return {
    fill(into, offset) {
      const originOf = (at: number) => origins.get((offset + at) / chunkBytes);
      for (let at = 0, end = 0; at < into.length; at = end) {
        const chunk = originOf(at)!;
        do end += chunkBytes;
        while (end < into.length && originOf(end) === chunk + (end - at) / chunkBytes);
        base.fill(into.subarray(at, end), chunk * chunkBytes);
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
