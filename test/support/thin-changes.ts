/** Seeded changes to thin volumes, and which chunks they touch. */
import { mustRun } from './command.js';
import { seededWrites, type Write, writeAt } from './devices.js';
import { createRandom } from './random.js';

export interface ThinChanges {
  /** Chunks that a write has touched since they were last discarded. */
  written: Set<number>;
  /** Chunks that were discarded and not written again. */
  discarded: Set<number>;
}

/** Writes and discards in turns. A chunk that is discarded in part only keeps its place. */
export async function changeThin(
  path: string,
  seed: number,
  volumeBytes: number,
  chunkBytes: number,
): Promise<ThinChanges> {
  const random = createRandom(seed);
  const changes: ThinChanges = { written: new Set(), discarded: new Set() };
  for (let round = 0; round < 3; round++) {
    const writes = seededWrites(seed + round, 12, 3 * chunkBytes, volumeBytes);
    writeAt(path, seed + round, writes);
    for (const write of writes) noteWrite(changes, write, chunkBytes);
    const start = 4096 * random.below(volumeBytes / 4096 / 2);
    const length = Math.min(chunkBytes * (2 + random.below(3)), volumeBytes - start);
    await discardAt(path, { offset: start, length });
    noteDiscard(changes, { offset: start, length }, volumeBytes, chunkBytes);
  }
  return changes;
}

export async function discardAt(path: string, { offset, length }: Write): Promise<void> {
  await mustRun('blkdiscard', ['--offset', String(offset), '--length', String(length), path]);
}

function noteWrite(changes: ThinChanges, { offset, length }: Write, chunkBytes: number): void {
  const last = Math.floor((offset + length - 1) / chunkBytes);
  for (let chunk = Math.floor(offset / chunkBytes); chunk <= last; chunk++) {
    changes.written.add(chunk);
    changes.discarded.delete(chunk);
  }
}

function noteDiscard(
  changes: ThinChanges,
  { offset, length }: Write,
  volumeBytes: number,
  chunkBytes: number,
): void {
  const end = offset + length;
  for (let chunk = Math.ceil(offset / chunkBytes); chunk * chunkBytes < end; chunk++) {
    if (Math.min((chunk + 1) * chunkBytes, volumeBytes) > end) break;
    if ((chunk + 1) * chunkBytes > volumeBytes) break; // the last, partial one keeps its place
    changes.discarded.add(chunk);
    changes.written.delete(chunk);
  }
}
