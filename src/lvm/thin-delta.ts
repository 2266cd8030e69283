/** What differs between two thin volumes of a pool, asked of `thin_delta`. */
import { LvmsyncError } from '../errors.js';
import { createChunkSet } from '../extents/chunk-set.js';
import type { ExtentSource } from '../extents/extents.js';
import { runTool, streamTool, toolError } from './run-tool.js';
import { createThinDeltaParser } from './thin-delta-parser.js';

export interface ThinDelta {
  /** All that differs, `discarded` included. */
  readonly changed: ExtentSource;
  /** What only the older volume holds: in the newer one it reads as zeroes. */
  readonly discarded: ExtentSource;
}

export interface ThinDeltaOptions {
  /** The pool's metadata, with a metadata snapshot held. */
  metadataPath: string;
  /** The pool's numbers of the two volumes. */
  olderId: number;
  newerId: number;
  chunkBytes: number;
  /** Size of both volumes: mappings beyond it are left out. */
  volumeBytes: number;
  signal?: AbortSignal | undefined;
}

/** @throws LvmsyncError TOOL_MISSING, TOOL_FAILED, INTERRUPTED */
export async function readThinDelta(options: ThinDeltaOptions): Promise<ThinDelta> {
  const { metadataPath, olderId, newerId, chunkBytes, signal } = options;
  const collector = createDeltaCollector(options);
  const parser = createThinDeltaParser({
    leftId: olderId,
    rightId: newerId,
    chunkBytes,
    onRange(kind, begin, length) {
      if (kind !== 'same') collector.add(begin, length, kind === 'left_only');
    },
  });
  // The option's value is optional in 0.9: it must not come right before the path.
  const ids = ['--thin1', String(olderId), '--thin2', String(newerId)];
  const output = await streamTool('thin_delta', ['--metadata-snap', ...ids, metadataPath], {
    onOutput: parser.add,
    signal,
  });
  if (output.status !== 0) throw toolError('thin_delta', output);
  parser.end();
  return collector.finish();
}

/**
 * Refuses versions that cannot be trusted: those before 0.9 are untried, and 1.0.0 to 1.0.5 joined
 * chunks that are not side by side in the pool, so that changes in between went unnoticed (CHANGES
 * of 1.0.6: "Fix range mappings preprocessing in thin_delta").
 *
 * @throws LvmsyncError TOOL_MISSING, TOOL_FAILED
 */
export async function checkThinDeltaVersion(): Promise<void> {
  const { stdout } = await runTool('thin_delta', ['--version']);
  const match = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(stdout);
  const [major = 0, minor = 0, patch = 0] = match?.slice(1).map((word) => Number(word ?? 0)) ?? [];
  const isTooOld = major === 0 && minor < 9;
  const losesChanges = major === 1 && minor === 0 && patch < 6;
  if (match !== null && !isTooOld && !losesChanges) return;
  const reason = losesChanges ? ', which leaves changes out' : '';
  throw new LvmsyncError(
    'TOOL_FAILED',
    `thin_delta is of version ${match?.[0] ?? 'unknown'}${reason}; it takes 0.9, or 1.0.6 or later`,
    { hint: 'install another version of thin-provisioning-tools' },
  );
}

interface DeltaCollector {
  add(begin: number, length: number, isDiscarded: boolean): void;
  finish(): Promise<ThinDelta>;
}

function createDeltaCollector({
  chunkBytes,
  volumeBytes,
}: Pick<ThinDeltaOptions, 'chunkBytes' | 'volumeBytes'>): DeltaCollector {
  const chunkCount = Math.ceil(volumeBytes / chunkBytes);
  const changed = createChunkSet(chunkCount, chunkCount);
  const discarded = createChunkSet(chunkCount, chunkCount);
  return {
    add(begin, length, isDiscarded) {
      const count = Math.min(length, chunkCount - begin);
      if (count <= 0) return;
      changed.addRun(begin, count);
      if (isDiscarded) discarded.addRun(begin, count);
    },
    finish: async () => ({
      changed: await changed.toExtents(chunkBytes, volumeBytes),
      discarded: await discarded.toExtents(chunkBytes, volumeBytes),
    }),
  };
}
