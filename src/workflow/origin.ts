/** A volume that lvmsync takes snapshots of: which it is, and whether there is room for them. */
import { LvmsyncError } from '../errors.js';
import { findDevice, nameOf } from '../lvm/find-device.js';
import type { LogicalVolume } from '../lvm/logical-volume.js';
import { checkThinDeltaVersion } from '../lvm/thin-delta.js';
import { readGroupSpace } from '../lvm/volume-group.js';
import { inBytes } from '../report/quantities.js';
import { type SnapshotSize, storeBytes } from './store-size.js';

export interface Origin {
  readonly volume: LogicalVolume & { device: string };
  /** `vg/lv`. */
  readonly name: string;
  /** How its snapshots will be. */
  readonly kind: 'thick' | 'thin';
}

/** First letters of what lvs calls `lv_attr`, of volumes that can have snapshots: see lvs(8). */
const ORIGIN_KINDS = '-oVrRmMC';

/** @param name any that LVM knows. @throws LvmsyncError VOLUME_NOT_FOUND, ORIGIN_UNSUITABLE */
export async function findOrigin(name: string): Promise<LogicalVolume> {
  const { volume } = await nameOf(await findDevice(name));
  if (volume !== undefined) return volume;
  throw new LvmsyncError('ORIGIN_UNSUITABLE', `${name} is not a volume that LVM knows`, {
    path: name,
    hint: 'name a logical volume; what is none can be copied: lvmsync copy',
  });
}

/** @throws LvmsyncError ORIGIN_UNSUITABLE for a volume that can have no snapshots */
export function asOrigin(volume: LogicalVolume): Origin {
  const { attributes, device } = volume;
  const name = `${volume.vgName}/${volume.lvName}`;
  if (!ORIGIN_KINDS.includes(attributes[0] ?? '?')) {
    const what = attributes[0]?.toLowerCase() === 's' ? 'is a snapshot' : 'is no volume of data';
    throw unsuitable(name, `${what} (lvs calls it ${attributes})`);
  }
  if (device === undefined)
    throw unsuitable(name, 'is not active', `activate it: lvchange -ay ${name}`);
  return {
    volume: { ...volume, device },
    name,
    kind: volume.thin === undefined ? 'thick' : 'thin',
  };
}

export interface SnapshotNeeds {
  size: SnapshotSize;
  extendAtPercent: number;
  /** How many more are going to be taken, and how that is said. */
  count: number;
  words: string;
}

/**
 * What snapshots of an origin will be, in words.
 *
 * @throws LvmsyncError ORIGIN_UNSUITABLE where there is no room; TOOL_MISSING, TOOL_FAILED
 */
export async function planSnapshots(
  { volume, kind, name }: Origin,
  { size, extendAtPercent, count, words }: SnapshotNeeds,
): Promise<string> {
  if (kind === 'thin') {
    await checkThinDeltaVersion();
    return 'thin ones';
  }
  const { freeBytes, extentBytes } = await readGroupSpace(volume.vgName);
  const wanted = storeBytes(size, volume.sizeBytes, 0);
  const needed = count * extentBytes * Math.ceil(wanted / extentBytes);
  const held = `${inBytes(freeBytes)} of ${volume.vgName} are free`;
  if (needed > freeBytes) {
    throw unsuitable(
      name,
      `needs ${inBytes(needed)} for ${words}, but ${held}`,
      'make room (vgextend), or take smaller ones with --snapshot-size',
    );
  }
  return `two at a time, ${inBytes(wanted)} for the changes of each, extended at ${extendAtPercent}%; ${held}`;
}

function unsuitable(
  name: string,
  words: string,
  hint = 'name a logical volume that can have snapshots; see what there is with: lvs',
): LvmsyncError {
  return new LvmsyncError('ORIGIN_UNSUITABLE', `${name} ${words}`, { path: name, hint });
}
