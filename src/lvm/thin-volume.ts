import { LvmsyncError } from '../errors.js';
import { deviceBytes, deviceNode, dmName, readTable } from './dm-device.js';
import { type DmTarget, parseOriginTable, parseThinTable } from './dm-table.js';
import { findDevice, nameOf, notActive } from './find-device.js';
import {
  findSnapshotsOf,
  findVolumeByUuid,
  type LogicalVolume,
  type ThinVolumeFields,
} from './logical-volume.js';

/** A thin volume, snapshot or not, as long as it is active. */
export interface ThinVolume {
  /** For people: `vg/lv`. */
  readonly name: string;
  readonly volume: LogicalVolume & { thin: ThinVolumeFields };
  /** Node that users read and write. */
  readonly path: string;
  /** `MAJOR:MINOR` of the thin target itself: of thick snapshots on top of it, what is beneath. */
  readonly device: string;
  /** `MAJOR:MINOR` of its pool. */
  readonly poolDevice: string;
  readonly sizeBytes: number;
}

/**
 * Finds a thin snapshot by any of its names. An origin's name stands for its thin snapshot when
 * there is just one.
 *
 * @returns undefined when it is not a thin volume
 * @throws LvmsyncError VOLUME_NOT_FOUND, also for a volume that is not active; VOLUME_AMBIGUOUS
 *   for an origin with several snapshots; SNAPSHOT_UNSUPPORTED for one with an external origin, or
 *   that LVM does not know; TOOL_MISSING; TOOL_FAILED
 */
export async function findThinSnapshot(name: string): Promise<ThinVolume | undefined> {
  const device = await findDevice(name);
  if ((await thinTargetOf(device))?.device !== device) return undefined;
  const found = await describe(device);
  if (found.volume.thin.originUuid !== undefined) return found;
  const snapshots = (await findSnapshotsOf(found.volume.lvUuid)).filter(({ thin }) => thin);
  const [snapshot, second] = snapshots;
  if (snapshot === undefined) return found;
  if (second === undefined) return describeVolume(snapshot);
  const list = snapshots.map(({ vgName, lvName }) => `${vgName}/${lvName}`).join(', ');
  throw new LvmsyncError('VOLUME_AMBIGUOUS', `${name} has ${snapshots.length} snapshots: ${list}`, {
    path: name,
    hint: 'name the snapshot that was taken when the target was last the same as the origin',
  });
}

/**
 * The origin of a thin snapshot.
 *
 * @throws LvmsyncError NOT_A_SNAPSHOT when LVM knows none; SNAPSHOT_UNSUPPORTED for one of another
 *   size; VOLUME_NOT_FOUND; TOOL_MISSING; TOOL_FAILED
 */
export async function findThinOrigin(snapshot: ThinVolume): Promise<ThinVolume> {
  const { originUuid } = snapshot.volume.thin;
  const volume = originUuid === undefined ? undefined : await findVolumeByUuid(originUuid);
  if (volume === undefined) {
    throw new LvmsyncError(
      'NOT_A_SNAPSHOT',
      `${snapshot.name} is a thin volume without an origin`,
      {
        path: snapshot.path,
        hint: 'name a thin snapshot; if its origin was removed, name the later one of the two with --data-source and --force',
      },
    );
  }
  const origin = await describeVolume(volume);
  assertComparable(snapshot, origin);
  return origin;
}

/**
 * Checks that the data of the changes since `snapshot` can be read from `name`: a later thin
 * snapshot of the same origin.
 *
 * @param force take any thin volume of the same pool and size
 * @throws LvmsyncError DATA_SOURCE_UNSUITABLE, saying why; else as `findThinOrigin`
 */
export async function findThinDataSource(
  snapshot: ThinVolume,
  name: string,
  force: boolean,
): Promise<ThinVolume> {
  const device = await findDevice(name);
  if (device === snapshot.device) {
    throw unsuitable(name, `is ${snapshot.name} itself, which shows the old data`);
  }
  if ((await thinTargetOf(device)) === undefined) throw unsuitable(name, 'is not a thin volume');
  const source = await describe(device);
  if (source.poolDevice !== snapshot.poolDevice) {
    throw unsuitable(name, `is in another pool than ${snapshot.name}`);
  }
  if (!force) assertLater(snapshot, source, name);
  assertComparable(snapshot, source);
  return source;
}

function assertLater(snapshot: ThinVolume, source: ThinVolume, name: string): void {
  const { id, originUuid } = snapshot.volume.thin;
  if (source.volume.lvUuid === originUuid) {
    throw unsuitable(name, 'is the origin', 'leave --data-source away: the origin is read anyway');
  }
  if (originUuid === undefined || source.volume.thin.originUuid !== originUuid) {
    throw unsuitable(
      name,
      `is not known to be a snapshot of the same origin as ${snapshot.name}`,
      'name a later snapshot of the same origin, or say --force if it is one for certain',
    );
  }
  // LVM numbers a new volume higher than all that are there.
  if (source.volume.thin.id < id) throw unsuitable(name, `was taken before ${snapshot.name}`);
}

function assertComparable(snapshot: ThinVolume, source: ThinVolume): void {
  if (source.sizeBytes === snapshot.sizeBytes) return;
  throw new LvmsyncError(
    'SNAPSHOT_UNSUPPORTED',
    `${source.name} has ${source.sizeBytes} bytes, ${snapshot.name} ${snapshot.sizeBytes}: it was resized after the snapshot was taken`,
    { path: source.path, hint: 'take a new snapshot and copy the whole volume' },
  );
}

async function describeVolume(volume: LogicalVolume): Promise<ThinVolume> {
  if (volume.device === undefined) throw notActive(volume);
  return describe(volume.device);
}

async function describe(device: string): Promise<ThinVolume> {
  const thin = await thinTargetOf(device);
  const { name, volume } = await nameOf(device);
  const path = await deviceNode(device);
  if (thin === undefined || volume?.thin === undefined) {
    throw new LvmsyncError(
      'SNAPSHOT_UNSUPPORTED',
      `${name} is no thin volume that LVM knows, so it is not known what it is a snapshot of`,
      { path, hint: 'only thin volumes of LVM can be compared' },
    );
  }
  const { poolDevice, thinId, hasExternalOrigin } = parseThinTable(thin.target);
  if (hasExternalOrigin) {
    throw new LvmsyncError(
      'SNAPSHOT_UNSUPPORTED',
      `${name} has an external origin: what it does not hold itself is read from there, and the pool knows nothing of that`,
      { path, hint: 'copy the whole volume' },
    );
  }
  if (thinId !== volume.thin.id) {
    throw new LvmsyncError('TOOL_FAILED', `LVM and device-mapper disagree on what ${name} is`, {
      path,
      hint: 'something changes it just now (a merge?): look with lvs and dmsetup, and run it again',
    });
  }
  return {
    name,
    volume: { ...volume, thin: volume.thin },
    path,
    device: thin.device,
    poolDevice,
    sizeBytes: await deviceBytes(device),
  };
}

/** The thin target that a device is, or that lies under an origin of thick snapshots. */
async function thinTargetOf(
  device: string,
): Promise<{ device: string; target: DmTarget } | undefined> {
  if ((await dmName(device)) === undefined) return undefined;
  const [target, second] = await readTable(device);
  if (target === undefined || second !== undefined) return undefined;
  if (target.type === 'thin') return { device, target };
  if (target.type === 'snapshot-origin') return thinTargetOf(parseOriginTable(target));
  return undefined;
}

function unsuitable(
  name: string,
  words: string,
  hint = 'name a later thin snapshot of the same origin',
): LvmsyncError {
  return new LvmsyncError('DATA_SOURCE_UNSUITABLE', `${name} ${words}`, { path: name, hint });
}
