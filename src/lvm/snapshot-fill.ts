/** How full is what holds the old data: the store of a thick snapshot, or the pool of thin ones. */
import { LvmsyncError } from '../errors.js';
import { readStatus, readTable } from './dm-device.js';
import { type DmTarget, parseSnapshotUsage, parseThinTable } from './dm-table.js';
import type { ThinPool } from './thin-pool.js';

export interface Fill {
  usedBytes: number;
  totalBytes: number;
}

const SECTOR_BYTES = 512;

/**
 * Of a thick snapshot's store.
 *
 * @param device `MAJOR:MINOR` of the snapshot
 * @returns undefined for one that is of no use any more: it overflowed, or failed
 * @throws LvmsyncError TOOL_MISSING, TOOL_FAILED
 */
export async function readSnapshotFill(device: string): Promise<Fill | undefined> {
  const [target] = await readStatus(device);
  if (target?.type !== 'snapshot') return undefined;
  const usage = parseSnapshotUsage(target);
  if (usage.state !== 'active') return undefined;
  const { allocatedSectors, totalSectors } = usage;
  return {
    usedBytes: allocatedSectors * SECTOR_BYTES,
    totalBytes: totalSectors * SECTOR_BYTES,
  };
}

/** Parts of a pool in use, from 0 to 1. */
export interface PoolFill {
  data: number;
  metadata: number;
}

/** @param device `MAJOR:MINOR` of a thin volume in the pool. @throws LvmsyncError as above */
export async function readPoolFill(device: string): Promise<PoolFill> {
  const [thin] = await readTable(device);
  if (thin?.type !== 'thin') throw unreadable();
  const [pool] = await readStatus(parseThinTable(thin).poolDevice);
  return interpretPoolFill(pool);
}

/** `TRANSACTION USED/TOTAL-METADATA USED/TOTAL-DATA ...`. @throws LvmsyncError TOOL_FAILED */
export function interpretPoolFill(pool: DmTarget | undefined): PoolFill {
  const [, metadata, data] = pool?.type === 'thin-pool' ? pool.words : [];
  return { data: part(data), metadata: part(metadata) };
}

/** What of a pool's data is in use. @throws LvmsyncError TOOL_MISSING, TOOL_FAILED */
export async function readPoolSpace({ device, chunkBytes }: ThinPool): Promise<Fill> {
  const [pool] = await readStatus(device);
  const { used, total } = usage(pool?.type === 'thin-pool' ? pool.words[2] : undefined);
  return { usedBytes: used * chunkBytes, totalBytes: total * chunkBytes };
}

function part(word: string | undefined): number {
  const { used, total } = usage(word);
  return used / total;
}

/** `USED/TOTAL`. */
function usage(word: string | undefined): { used: number; total: number } {
  const match = /^(\d+)\/(\d+)$/.exec(word ?? '');
  if (match === null || Number(match[2]) === 0) throw unreadable();
  return { used: Number(match[1]), total: Number(match[2]) };
}

function unreadable(): LvmsyncError {
  return new LvmsyncError('TOOL_FAILED', 'device-mapper does not say how full the thin pool is', {
    hint: 'look with lvs -a and dmsetup status: it may have failed',
  });
}
