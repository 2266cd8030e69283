import { LvmsyncError } from '../errors.js';
import { readStatus } from './dm-device.js';
import { type DmTarget, parseSnapshotUsage } from './dm-table.js';
import type { ThickSnapshot } from './thick-snapshot.js';

/** What device-mapper says of a snapshot (`dmsetup status`). */
export interface SnapshotStatus {
  /** Anything but `active` means that changes were lost, or soon will be. */
  state: 'active' | 'invalid' | 'overflow' | 'merging' | 'merge-failed' | 'unknown';
  /** Sectors of 512 bytes in use, metadata included; 0 unless active. */
  allocatedSectors: number;
  totalSectors: number;
  metadataSectors: number;
  /** Right while nothing is written; else it may count exceptions that are not on disk yet. */
  exceptionCount: number;
}

const SECTOR_BYTES = 512;

/** @throws LvmsyncError TOOL_MISSING, TOOL_FAILED, also when the snapshot is gone */
export async function readSnapshotStatus(
  snapshot: Pick<ThickSnapshot, 'device' | 'chunkBytes'>,
): Promise<SnapshotStatus> {
  const [target] = await readStatus(snapshot.device);
  return interpretStatus(target, snapshot.chunkBytes);
}

/** @throws LvmsyncError TOOL_FAILED */
export function interpretStatus(target: DmTarget | undefined, chunkBytes: number): SnapshotStatus {
  const nothing = { allocatedSectors: 0, totalSectors: 0, metadataSectors: 0, exceptionCount: 0 };
  // While a snapshot is merged, LVM puts an error target in its place.
  if (target?.type === 'snapshot-merge' || target?.type === 'error') {
    return { state: 'merging', ...nothing };
  }
  if (target?.type !== 'snapshot') return { state: 'unknown', ...nothing };
  const usage = parseSnapshotUsage(target);
  if (usage.state !== 'active') return { state: usage.state, ...nothing };
  const dataSectors = usage.allocatedSectors - usage.metadataSectors;
  return { ...usage, exceptionCount: (dataSectors * SECTOR_BYTES) / chunkBytes };
}

/** @throws LvmsyncError SNAPSHOT_INVALID, SNAPSHOT_UNSUPPORTED unless it is active */
export function assertUsable(
  { name, snapshotPath }: Pick<ThickSnapshot, 'name' | 'snapshotPath'>,
  { state }: SnapshotStatus,
): void {
  if (state === 'active') return;
  if (state === 'merging' || state === 'merge-failed') {
    const words = state === 'merging' ? 'is being merged into its origin' : 'failed to merge';
    throw new LvmsyncError('SNAPSHOT_UNSUPPORTED', `${name} ${words}`, {
      path: snapshotPath,
      hint: 'the changes that a merge undoes cannot be sent any more',
    });
  }
  const words: Record<typeof state, string> = {
    invalid: 'is invalid: it filled up, or its store failed',
    overflow: 'has overflowed',
    unknown: 'is in a state that device-mapper does not know',
  };
  throw new LvmsyncError('SNAPSHOT_INVALID', `${name} ${words[state]}; changes were lost`, {
    path: snapshotPath,
    hint: 'remove it, take a new and larger one (lvcreate -s -L), and copy the whole volume',
  });
}
