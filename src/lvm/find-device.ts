import { LvmsyncError } from '../errors.js';
import { stat } from '../files.js';
import { deviceNumber, dmName, dmUuid } from './dm-device.js';
import { findVolumeByDmUuid, findVolumeByName, type LogicalVolume } from './logical-volume.js';

/**
 * `MAJOR:MINOR` of the block device that a name means: `/dev/VG/LV`, `/dev/mapper/...`,
 * `/dev/dm-N`, a link to one of them, `VG/LV`.
 *
 * @throws LvmsyncError VOLUME_NOT_FOUND, also for a volume that is not active; NOT_A_SNAPSHOT for
 *   what is no block device; TOOL_MISSING; TOOL_FAILED
 */
export async function findDevice(name: string): Promise<string> {
  const device = await deviceNumber(name);
  if (device !== undefined) return device;
  const stats = await stat(name).catch(() => undefined);
  if (!looksLikeVolume(name)) {
    if (stats === undefined) {
      throw new LvmsyncError('VOLUME_NOT_FOUND', `there is no ${name}`, {
        path: name,
        hint: 'name the snapshot as VG/LV or by its path; see what there is with: lvs',
      });
    }
    throw new LvmsyncError('NOT_A_SNAPSHOT', `${name} is not a block device`, {
      path: name,
      hint: 'name a snapshot as VG/LV or by its path; what is none is sent whole with lvmsync copy',
    });
  }
  const volume = await findVolumeByName(name);
  if (volume.device !== undefined) return volume.device;
  throw notActive(volume);
}

export function notActive({ vgName, lvName, thin }: LogicalVolume): LvmsyncError {
  // LVM leaves thin snapshots out of what it activates unless told otherwise.
  const ignoreSkip = thin === undefined ? '' : '-K ';
  return new LvmsyncError('VOLUME_NOT_FOUND', `${vgName}/${lvName} is not active`, {
    path: `${vgName}/${lvName}`,
    hint: `activate it: lvchange -ay ${ignoreSkip}${vgName}/${lvName}`,
  });
}

/** `VG/LV`, or a node that is not there because the volume is not active. */
function looksLikeVolume(name: string): boolean {
  return /^[A-Za-z0-9_.+][A-Za-z0-9_.+-]*\/[A-Za-z0-9_.+][A-Za-z0-9_.+-]*$/.test(name)
    ? !/^\.{1,2}\//.test(name)
    : name.startsWith('/dev/');
}

/** `VG/LV` and what LVM knows of it; else what device-mapper calls the device. */
export async function nameOf(
  device: string,
): Promise<{ name: string; volume: LogicalVolume | undefined }> {
  const volume = await findVolumeByDmUuid(await dmUuid(device));
  if (volume !== undefined) return { name: `${volume.vgName}/${volume.lvName}`, volume };
  return { name: (await dmName(device)) ?? device, volume: undefined };
}
