import { LvmsyncError } from '../errors.js';
import { deviceNode, dmUuid, readStatus, readTable } from './dm-device.js';
import { type PoolUsage, parsePoolTable, parsePoolUsage } from './dm-table.js';
import { runTool, toolError } from './run-tool.js';

/** The pool that thin volumes are in. */
export interface ThinPool {
  /** Node of the pool, for people. */
  readonly path: string;
  /** `MAJOR:MINOR`. */
  readonly device: string;
  /** device-mapper's uuid: the same after a reboot. */
  readonly uuid: string;
  readonly metadataPath: string;
  /** What is mapped, shared and discarded as one. */
  readonly chunkBytes: number;
}

const SECTOR_BYTES = 512;

/** @throws LvmsyncError VOLUME_NOT_FOUND, TOOL_MISSING, TOOL_FAILED */
export async function readPool(device: string): Promise<ThinPool> {
  const [target] = await readTable(device);
  const uuid = await dmUuid(device);
  if (target?.type !== 'thin-pool' || uuid === undefined) throw goneError(device);
  const { metadataDevice, chunkSectors } = parsePoolTable(target);
  return {
    path: await deviceNode(device),
    device,
    uuid,
    metadataPath: await deviceNode(metadataDevice),
    chunkBytes: chunkSectors * SECTOR_BYTES,
  };
}

/** @throws LvmsyncError VOLUME_NOT_FOUND, TOOL_MISSING, TOOL_FAILED */
export async function readPoolUsage({ device }: ThinPool): Promise<PoolUsage> {
  const [target] = await readStatus(device);
  if (target?.type !== 'thin-pool') throw goneError(device);
  return parsePoolUsage(target);
}

const MODES: Record<string, string> = {
  out_of_data_space: 'has run out of space for data',
  ro: 'is read-only: it ran out of space for metadata, or failed to write them',
};

/**
 * Refuses a pool that may have lost writes.
 *
 * @throws LvmsyncError SNAPSHOT_INVALID
 */
export function assertPoolUsable({ path }: ThinPool, { mode, needsCheck }: PoolUsage): void {
  if (mode === 'rw' && !needsCheck) return;
  const words =
    mode === 'rw' ? 'has metadata that need a check' : (MODES[mode] ?? `failed (${mode})`);
  throw new LvmsyncError('SNAPSHOT_INVALID', `the thin pool ${path} ${words}; writes may be lost`, {
    path,
    hint: 'repair or extend it (lvs -a shows its health; lvextend, lvconvert --repair), and check what is on its volumes',
  });
}

/** @throws LvmsyncError TOOL_MISSING, TOOL_FAILED */
export async function messagePool(
  { device }: ThinPool,
  message: 'reserve_metadata_snap' | 'release_metadata_snap',
): Promise<void> {
  const [major = '', minor = ''] = device.split(':');
  const output = await runTool('dmsetup', ['message', '-j', major, '-m', minor, '0', message]);
  if (output.status !== 0) throw toolError('dmsetup', output);
}

function goneError(device: string): LvmsyncError {
  return new LvmsyncError('VOLUME_NOT_FOUND', `device ${device} is no thin pool any more`, {
    hint: 'something changes it just now: look with lvs and dmsetup, and run it again',
  });
}
