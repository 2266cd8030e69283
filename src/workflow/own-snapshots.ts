/** Snapshots that lvmsync takes itself and knows again by their tag: taken, found, removed. */
import { activateSnapshot } from '../lvm/activate-snapshot.js';
import { createThickSnapshot, createThinSnapshot } from '../lvm/create-snapshot.js';
import { deviceNode } from '../lvm/dm-device.js';
import { findTaggedVolumes, findVolumeByUuid, type LogicalVolume } from '../lvm/logical-volume.js';
import { readSnapshotFill } from '../lvm/snapshot-fill.js';
import { readGroupSpace } from '../lvm/volume-group.js';
import { inBytes } from '../report/quantities.js';
import type { Origin } from './origin.js';
import { type SnapshotSize, storeBytes } from './store-size.js';

export interface OwnSnapshot {
  readonly volume: LogicalVolume & { device: string };
  readonly name: string;
  /** Node of its device. */
  readonly path: string;
}

export interface NewSnapshot {
  origin: Origin;
  name: string;
  tag: string;
  /** Of the store of a thick one, before it has overflowed so often. */
  size: SnapshotSize;
  overflows: number;
  onNote(line: string): void;
}

/** @throws LvmsyncError TOOL_MISSING; TOOL_FAILED, also when there is no room */
export async function makeSnapshot(plan: NewSnapshot): Promise<void> {
  const { origin, name, size, overflows } = plan;
  const { volume } = origin;
  const lvmPlan = { origin: volume, name, tag: plan.tag };
  if (origin.kind === 'thin') return createThinSnapshot(lvmPlan);
  const { freeBytes, extentBytes } = await readGroupSpace(volume.vgName);
  const wanted = storeBytes(size, volume.sizeBytes, overflows);
  // A small one may do, and is extended or replaced where it does not.
  const bytes = Math.max(Math.min(wanted, freeBytes), extentBytes);
  await createThickSnapshot(lvmPlan, bytes);
  plan.onNote(`snapshot ${volume.vgName}/${name}: room for ${inBytes(bytes)} of changes`);
}

/**
 * Those of the names that are there with the tag, active, in the order of the names.
 *
 * @param tagged all that carry the tag, where they have been looked up already
 */
export async function findOwnSnapshots(
  { volume: { vgUuid } }: Origin,
  tag: string,
  names: readonly string[],
  tagged?: readonly LogicalVolume[],
): Promise<OwnSnapshot[]> {
  const volumes = tagged ?? (await findTaggedVolumes(tag));
  const found: OwnSnapshot[] = [];
  for (const name of names) {
    let volume = volumes.find((each) => each.vgUuid === vgUuid && each.lvName === name);
    if (volume?.device === undefined && volume?.thin !== undefined) {
      await activateSnapshot(volume);
      volume = await findVolumeByUuid(volume.lvUuid);
    }
    if (volume?.device === undefined) continue;
    const { device } = volume;
    found.push({ volume: { ...volume, device }, name, path: await deviceNode(device) });
  }
  return found;
}

/** Whether a snapshot has overflowed, or failed otherwise: what it held is lost. */
export async function isLost({ volume }: OwnSnapshot): Promise<boolean> {
  return volume.thin === undefined && (await readSnapshotFill(volume.device)) === undefined;
}
