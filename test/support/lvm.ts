import { setTimeout as delay } from 'node:timers/promises';
import { mustRun } from './command.js';
import { fillDevice } from './devices.js';

/** Makes a volume group of the given disks; sizes of its volumes are multiples of `extentBytes`. */
export async function createGroup(
  group: string,
  disks: string[],
  extentBytes = 4 * 1024 * 1024,
): Promise<void> {
  await mustRun('vgcreate', [
    '--quiet',
    '--physicalextentsize',
    `${extentBytes}b`,
    group,
    ...disks,
  ]);
}

/** Removes a volume group with all that is in it. */
export async function removeGroup(group: string): Promise<void> {
  await mustRun('vgremove', ['--quiet', '--force', group]);
}

/** Makes a linear volume, filled with seeded bytes when there is a seed. Resolves its path. */
export async function createVolume(
  group: string,
  name: string,
  bytes: number,
  seed?: number,
): Promise<string> {
  const args = ['--quiet', '--yes', '--wipesignatures', 'n', '--zero', 'n'];
  await mustRun('lvcreate', [...args, '--name', name, '--size', `${bytes}b`, group]);
  const path = `/dev/${group}/${name}`;
  if (seed !== undefined) await fillDevice(path, seed);
  return path;
}

/** Makes a thick snapshot with a store of `storeBytes`. Resolves its path. */
export async function createSnapshot(
  group: string,
  origin: string,
  name: string,
  storeBytes: number,
  chunkBytes = 4096,
): Promise<string> {
  const sizes = ['--size', `${storeBytes}b`, '--chunksize', `${chunkBytes}b`];
  await mustRun('lvcreate', [
    '--quiet',
    '--snapshot',
    ...sizes,
    '--name',
    name,
    `${group}/${origin}`,
  ]);
  return `/dev/${group}/${name}`;
}

/** LVM knows the time of a snapshot to the second: one that is made now is later for certain. */
export async function untilNextSecond(): Promise<void> {
  const second = () => Math.floor(Date.now() / 1000);
  for (const now = second(); second() === now; ) await delay(10);
}

/** Removes volumes, given as `group/name` or as paths. */
export async function removeVolumes(...volumes: string[]): Promise<void> {
  await mustRun('lvremove', ['--quiet', '--force', ...volumes]);
}

/** What the kernel says of a snapshot: `dmsetup status`. */
export interface SnapshotStatus {
  /** The line's last part: `8240/16384 48`, or `Invalid`, `Overflow`, `Merge failed`. */
  text: string;
  /** Sectors of the store in use, in all, and holding metadata; 0 where the text is a word. */
  usedSectors: number;
  totalSectors: number;
  metadataSectors: number;
}

/** Asks the kernel about a snapshot by its path. */
export async function snapshotStatus(path: string): Promise<SnapshotStatus> {
  const line = await mustRun('dmsetup', ['status', path]);
  const match = /^\d+ \d+ snapshot(?:-merge)? (.*)$/.exec(line.trim());
  if (match?.[1] === undefined) throw new Error(`${path} is not a snapshot: ${line}`);
  const [used = 0, total = 0, metadata = 0] = match[1].match(/\d+/g)?.map(Number) ?? [];
  return { text: match[1], usedSectors: used, totalSectors: total, metadataSectors: metadata };
}

/** How many exceptions the kernel counts in an idle snapshot's store. */
export async function exceptionCount(path: string, chunkBytes: number): Promise<number> {
  const { usedSectors, metadataSectors } = await snapshotStatus(path);
  return (usedSectors - metadataSectors) / (chunkBytes / 512);
}

/** Makes a thin pool, whose new chunks are zeroed as LVM's default has it. */
export async function createPool(
  group: string,
  name: string,
  bytes: number,
  chunkBytes: number,
): Promise<void> {
  const sizes = ['--size', `${bytes}b`, '--chunksize', `${chunkBytes}b`];
  const pool = ['--thinpool', `${group}/${name}`, '--poolmetadatasize', '2m'];
  await mustRun('lvcreate', ['--quiet', '--yes', '--poolmetadataspare', 'n', ...sizes, ...pool]);
}

/** Makes a thin volume, of which nothing is allocated. Resolves its path. */
export async function createThinVolume(
  group: string,
  pool: string,
  name: string,
  bytes: number,
): Promise<string> {
  const place = ['--virtualsize', `${bytes}b`, '--thinpool', `${group}/${pool}`];
  const args = ['--quiet', '--yes', '--wipesignatures', 'n', '--name', name];
  await mustRun('lvcreate', [...args, ...place]);
  return `/dev/${group}/${name}`;
}

/** Makes a thin snapshot that is active. Resolves its path. */
export async function createThinSnapshot(
  group: string,
  origin: string,
  name: string,
): Promise<string> {
  const args = ['--quiet', '--snapshot', '--setactivationskip', 'n', '--name', name];
  await mustRun('lvcreate', [...args, `${group}/${origin}`]);
  return `/dev/${group}/${name}`;
}

/** What the kernel says of a pool. */
export interface PoolStatus {
  /** The metadata block of the metadata snapshot; `-` when there is none. */
  heldRoot: string;
  mode: string;
}

export async function poolStatus(group: string, pool: string): Promise<PoolStatus> {
  const line = await mustRun('dmsetup', ['status', `${group}-${pool}-tpool`]);
  const match = /^0 \d+ thin-pool \d+ \S+ \S+ (\S+) (\S+) /.exec(line.trim());
  if (match === null) throw new Error(`${pool} is not a pool in use: ${line}`);
  return { heldRoot: match[1]!, mode: match[2]! };
}
