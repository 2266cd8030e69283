import { type BigIntStats, existsSync, readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { readdir, realpath, stat } from '../files.js';

/**
 * What the kernel tells of a block device in sysfs
 * (Documentation/ABI/stable/sysfs-block and testing/sysfs-block-dm in the kernel's sources).
 */
export interface DeviceFacts {
  /** `MAJOR:MINOR`. */
  readonly id: string;
  /** For people: `/dev/sdb1`, `/dev/mapper/vg-lv`. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** device-mapper's uuid, such as `LVM-` and 64 characters; none for other devices. */
  readonly dmUuid: string | undefined;
}

/** A device that is in use when another one is: built on it, or sharing its bytes. */
export interface RelatedDevice {
  readonly id: string;
  /** For people. */
  readonly name: string;
  /** `holder`: built on the device or a part of it; the others share its bytes. */
  readonly relation: 'self' | 'partition' | 'whole-disk' | 'holder';
}

const SYSFS_SECTOR_BYTES = 512;

/** `MAJOR:MINOR` of a device number, as the kernel packs it for user space (12 + 20 bits). */
export function deviceId(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** What sysfs knows of a device, or undefined when there is no device behind the number. */
export async function readDeviceFacts(id: string): Promise<DeviceFacts | undefined> {
  const sizeSectors = await readAttribute(`/sys/dev/block/${id}/size`);
  if (sizeSectors === undefined) {
    return undefined;
  }
  return {
    id,
    name: await deviceName(id),
    sizeBytes: Number(sizeSectors) * SYSFS_SECTOR_BYTES,
    readOnly: (await readAttribute(`/sys/dev/block/${id}/ro`)) === '1',
    dmUuid: await readAttribute(`/sys/dev/block/${id}/dm/uuid`),
  };
}

/**
 * The device itself, its partitions or the disk it is a partition of, and everything built on any
 * of them, to the top: LVs on a PV, md arrays, crypt devices.
 */
export async function relatedDevices(id: string): Promise<RelatedDevice[]> {
  const related: RelatedDevice[] = [];
  const add = async (deviceNumber: string, relation: RelatedDevice['relation']) => {
    if (!related.some((device) => device.id === deviceNumber)) {
      related.push({ id: deviceNumber, name: await deviceName(deviceNumber), relation });
    }
  };
  await add(id, 'self');
  const wholeDisk = await wholeDiskOf(id);
  if (wholeDisk !== undefined) {
    await add(wholeDisk, 'whole-disk');
  }
  for (let index = 0; index < related.length; index++) {
    const device = related[index]!;
    const directory = `/sys/dev/block/${device.id}`;
    for (const holder of await idsIn(`${directory}/holders`)) {
      await add(holder, 'holder');
    }
    // The disk's other partitions are other people's bytes.
    if (device.relation !== 'whole-disk') {
      for (const partition of await idsIn(directory, 'partition')) {
        await add(partition, device.relation === 'holder' ? 'holder' : 'partition');
      }
    }
  }
  return related;
}

/** `MAJOR:MINOR` of the loop devices whose backing file is the given one. */
export async function loopsOnFile(file: BigIntStats): Promise<string[]> {
  const loops: string[] = [];
  for (const name of await readdir('/sys/block').catch(() => [])) {
    // The directory is there while the device has a file.
    if (existsSync(`/sys/block/${name}/loop`)) {
      const id = await readAttribute(`/sys/block/${name}/dev`);
      const backing = id === undefined ? undefined : await loopBackingFile(id);
      if (id !== undefined && backing?.dev === file.dev && backing.ino === file.ino) {
        loops.push(id);
      }
    }
  }
  return loops;
}

/** The file behind a loop device; undefined for other devices, or when it cannot be reached. */
export async function loopBackingFile(id: string): Promise<BigIntStats | undefined> {
  const path = await readAttribute(`/sys/dev/block/${id}/loop/backing_file`);
  if (path === undefined) {
    return undefined;
  }
  return stat(path, { bigint: true }).catch(() => undefined);
}

/** `/dev/mapper/NAME` for device-mapper, `/dev/NAME` otherwise, or the bare number. */
export async function deviceName(id: string): Promise<string> {
  const dmName = await readAttribute(`/sys/dev/block/${id}/dm/name`);
  if (dmName !== undefined) {
    return `/dev/mapper/${dmName}`;
  }
  const directory = await realpath(`/sys/dev/block/${id}`).catch(() => undefined);
  // sysfs writes the slash of names such as `cciss/c0d0` as an exclamation mark.
  return directory === undefined ? id : `/dev/${basename(directory).replaceAll('!', '/')}`;
}

async function wholeDiskOf(id: string): Promise<string | undefined> {
  if ((await readAttribute(`/sys/dev/block/${id}/partition`)) === undefined) {
    return undefined;
  }
  return readAttribute(`${dirname(await realpath(`/sys/dev/block/${id}`))}/dev`);
}

/** Numbers of the devices that have a directory here, if that holds the `marker` file. */
async function idsIn(directory: string, marker = 'dev'): Promise<string[]> {
  const ids: string[] = [];
  for (const name of await readdir(directory).catch(() => [])) {
    if ((await readAttribute(`${directory}/${name}/${marker}`)) !== undefined) {
      const id = await readAttribute(`${directory}/${name}/dev`);
      if (id !== undefined) {
        ids.push(id);
      }
    }
  }
  return ids;
}

/**
 * A sysfs attribute without its newline; undefined when it is not there, or empty. The kernel has it
 * in memory: handing the four calls to other threads would take twenty times as long.
 */
export async function readAttribute(path: string): Promise<string | undefined> {
  try {
    return readFileSync(path, 'utf8').replace(/\n$/, '') || undefined;
  } catch {
    return undefined;
  }
}
