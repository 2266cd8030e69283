import { LvmsyncError } from '../errors.js';
import {
  deviceBytes,
  deviceHolders,
  deviceNode,
  dmName,
  dmUuid,
  isPartition,
  readTable,
} from './dm-device.js';
import { type DmTarget, parseOriginTable, parseSnapshotTable } from './dm-table.js';
import { findDevice, nameOf } from './find-device.js';
import type { LogicalVolume } from './logical-volume.js';
import { assertUsable, readSnapshotStatus } from './snapshot-status.js';

/** A thick snapshot with a persistent exception store, and what belongs to it. */
export interface ThickSnapshot {
  /** For people: `vg/lv`, or device-mapper's name where LVM does not know it. */
  readonly name: string;
  /** What LVM knows; undefined for a snapshot made with dmsetup. */
  readonly volume: LogicalVolume | undefined;
  /** Node of the snapshot, which shows the origin as it was. */
  readonly snapshotPath: string;
  /** Node of the exception store, LVM's `-cow` device. */
  readonly storePath: string;
  /**
   * Node of the origin that users write to. Not the device under it: direct reads of this one
   * write back its own dirty pages first.
   */
  readonly originPath: string;
  /** `MAJOR:MINOR` of the snapshot. */
  readonly device: string;
  /** `MAJOR:MINOR` of the device that holds the origin's data, the same for all its snapshots. */
  readonly realDevice: string;
  /** Size of the origin and of the snapshot. */
  readonly originBytes: number;
  readonly chunkBytes: number;
  readonly storeBytes: number;
}

const SECTOR_BYTES = 512;

/**
 * Finds a thick snapshot by any name of it: `/dev/VG/LV`, `/dev/mapper/...`, `/dev/dm-N`, a link to
 * one of them, `VG/LV`. An origin's name stands for its snapshot when there is just one.
 *
 * @throws LvmsyncError VOLUME_NOT_FOUND, also for a volume that is not active; VOLUME_AMBIGUOUS
 *   for an origin with several snapshots, which it lists; NOT_A_SNAPSHOT, saying what it is;
 *   SNAPSHOT_UNSUPPORTED for a transient, merging or resized one; SNAPSHOT_INVALID;
 *   TOOL_MISSING; TOOL_FAILED
 */
export async function findThickSnapshot(name: string): Promise<ThickSnapshot> {
  const device = await findDevice(name);
  const [target, second] = await readDmTable(device, name);
  if (target === undefined || second !== undefined) throw await notASnapshot(device, name, target);
  if (target.type === 'snapshot') return describeSnapshot(device, target);
  if (target.type === 'snapshot-origin') {
    const snapshot = await onlySnapshotOf(parseOriginTable(target), name);
    return describeSnapshot(snapshot.device, snapshot.target);
  }
  throw await notASnapshot(device, name, target);
}

async function readDmTable(device: string, name: string): Promise<DmTarget[]> {
  if ((await dmName(device)) !== undefined) return readTable(device);
  const what = (await isPartition(device)) ? 'a partition' : 'a disk';
  throw new LvmsyncError('NOT_A_SNAPSHOT', `${name} is ${what}, not a snapshot`, {
    path: name,
    hint: 'name a snapshot; see what there is with: lvs',
  });
}

interface SnapshotTarget {
  device: string;
  target: DmTarget;
}

async function onlySnapshotOf(realDevice: string, name: string): Promise<SnapshotTarget> {
  const snapshots = await snapshotsOf(realDevice);
  const [snapshot, second] = snapshots;
  if (snapshot === undefined) {
    throw new LvmsyncError('NOT_A_SNAPSHOT', `${name} is an origin without a snapshot`, {
      path: name,
      hint: 'take a snapshot of it first: lvcreate -s',
    });
  }
  if (second === undefined) return snapshot;
  const names = await Promise.all(snapshots.map(({ device }) => nameOf(device)));
  const list = names.map((each) => each.name).join(', ');
  throw new LvmsyncError('VOLUME_AMBIGUOUS', `${name} has ${names.length} snapshots: ${list}`, {
    path: name,
    hint: 'name the snapshot that was taken when the target was last the same as the origin',
  });
}

/** All snapshots of the origin whose data is on `realDevice`. */
async function snapshotsOf(realDevice: string): Promise<SnapshotTarget[]> {
  const found: SnapshotTarget[] = [];
  for (const device of await deviceHolders(realDevice)) {
    const [target] = await readTable(device);
    // A store can lie on the same device as an origin, without being a snapshot of it.
    if (target?.type !== 'snapshot') continue;
    if (parseSnapshotTable(target).realDevice === realDevice) found.push({ device, target });
  }
  return found;
}

async function describeSnapshot(device: string, target: DmTarget): Promise<ThickSnapshot> {
  const table = parseSnapshotTable(target);
  const { name, volume } = await nameOf(device);
  if (!table.persistent) {
    throw new LvmsyncError('SNAPSHOT_UNSUPPORTED', `${name} has a transient store (N)`, {
      hint: 'its list of changes is in kernel memory only: make it with a persistent store (P)',
    });
  }
  const originBytes = target.lengthSectors * SECTOR_BYTES;
  const origin = await originOf(table.realDevice, name);
  const snapshot: ThickSnapshot = {
    name,
    volume,
    snapshotPath: await deviceNode(device),
    storePath: await deviceNode(table.storeDevice),
    originPath: await deviceNode(origin),
    device,
    realDevice: table.realDevice,
    originBytes,
    chunkBytes: table.chunkSectors * SECTOR_BYTES,
    storeBytes: await deviceBytes(table.storeDevice),
  };
  // dm-snapshot does not watch what lies past the snapshot's end (__origin_write in dm-snap.c).
  if ((await deviceBytes(origin)) !== originBytes) {
    const sizes = `${await deviceBytes(origin)} bytes, ${name} ${originBytes}`;
    throw new LvmsyncError(
      'SNAPSHOT_UNSUPPORTED',
      `the origin was resized after its snapshot was taken: ${snapshot.originPath} has ${sizes}`,
      { path: snapshot.originPath, hint: 'take a new snapshot and copy the whole volume' },
    );
  }
  assertUsable(snapshot, await readSnapshotStatus(snapshot));
  return snapshot;
}

/** The device whose writes make exceptions. */
async function originOf(realDevice: string, name: string): Promise<string> {
  for (const device of await deviceHolders(realDevice)) {
    const [target] = await readTable(device);
    if (target?.type === 'snapshot-merge') throw mergingError(name);
    if (target?.type === 'snapshot-origin' && parseOriginTable(target) === realDevice)
      return device;
  }
  throw new LvmsyncError(
    'SNAPSHOT_UNSUPPORTED',
    `${name} has no origin: no snapshot-origin is on device ${realDevice}, so no write to it is listed`,
    { hint: 'name store and origin yourself: --cow-device and --data-source' },
  );
}

async function notASnapshot(
  device: string,
  name: string,
  target: DmTarget | undefined,
): Promise<LvmsyncError> {
  if (target?.type === 'snapshot-merge') return mergingError(name);
  const uuid = (await dmUuid(device)) ?? '';
  const hint = 'name a snapshot; see what there is with: lvs';
  const details = { path: name, hint };
  if (uuid.endsWith('-cow')) {
    details.hint = 'name the snapshot that it belongs to (without -cow), or use --cow-device';
    return new LvmsyncError('NOT_A_SNAPSHOT', `${name} is the store of a snapshot`, details);
  }
  if (uuid.endsWith('-real')) {
    details.hint = 'name the snapshot, or the origin without -real';
    return new LvmsyncError('NOT_A_SNAPSHOT', `${name} is what an origin is made of`, details);
  }
  // While a snapshot is merged, LVM puts an error target in its place.
  if (target?.type === 'error' && uuid.startsWith('LVM-')) return mergingError(name);
  const kind = target === undefined ? 'empty' : target.type;
  const words = `${name} is not a snapshot but a ${kind} volume`;
  return new LvmsyncError('NOT_A_SNAPSHOT', words, details);
}

function mergingError(name: string): LvmsyncError {
  return new LvmsyncError('SNAPSHOT_UNSUPPORTED', `${name} is being merged into its origin`, {
    path: name,
    hint: 'wait for the merge to end; the changes it undoes cannot be sent any more',
  });
}
