/** The snapshots of a migration: taken, found again after a kill, removed. */
import { activateSnapshot } from '../lvm/activate-snapshot.js';
import { createThickSnapshot, createThinSnapshot } from '../lvm/create-snapshot.js';
import { deviceNode } from '../lvm/dm-device.js';
import {
  findSnapshotsOf,
  findTaggedVolumes,
  findVolumeByUuid,
  type LogicalVolume,
} from '../lvm/logical-volume.js';
import { removeSnapshot } from '../lvm/remove-snapshot.js';
import { readSnapshotFill } from '../lvm/snapshot-fill.js';
import { readGroupSpace } from '../lvm/volume-group.js';
import { TAG_PREFIX, tagOf } from '../send/migration-state.js';
import { inBytes, type Migration, record, throwIfInterrupted } from './migration.js';
import { storeBytes } from './store-size.js';

export interface MigrationSnapshot {
  readonly volume: LogicalVolume & { device: string };
  readonly name: string;
  /** Node of its device. */
  readonly path: string;
}

/** LVM's own limit is 127 characters for a name. */
const MAX_ORIGIN_CHARACTERS = 100;

/** Takes a snapshot; its name is on record before. */
export async function takeSnapshot(migration: Migration): Promise<MigrationSnapshot> {
  throwIfInterrupted(migration);
  const { origin, state, kind, options } = migration;
  const number = state.snapshotCount + 1;
  const name = `${origin.lvName.slice(0, MAX_ORIGIN_CHARACTERS)}_lvmsync_${state.id}_${number}`;
  await record(migration, { snapshotCount: number, snapshots: [...state.snapshots, name] });
  const plan = { origin, name, tag: tagOf(state) };
  if (kind === 'thin') await createThinSnapshot(plan);
  else {
    const { freeBytes, extentBytes } = await readGroupSpace(origin.vgName);
    const wanted = storeBytes(options.snapshotSize, origin.sizeBytes, state.overflows);
    // A small one may do, and is extended or replaced where it does not.
    const bytes = Math.max(Math.min(wanted, freeBytes), extentBytes);
    await createThickSnapshot(plan, bytes);
    options.onNote(`snapshot ${origin.vgName}/${name}: room for ${inBytes(bytes)} of changes`);
  }
  const found = (await findSnapshots(migration)).find((snapshot) => snapshot.name === name);
  if (found === undefined) throw new Error(`${name} was made but is not there`);
  return found;
}

/** Those that are there and active, oldest first. What has vanished is taken off the record. */
export async function findSnapshots(migration: Migration): Promise<MigrationSnapshot[]> {
  const { state } = migration;
  const volumes = new Map<string, LogicalVolume>();
  for (const volume of await findTaggedVolumes(tagOf(state))) volumes.set(volume.lvName, volume);
  const found: MigrationSnapshot[] = [];
  for (const name of state.snapshots) {
    let volume = volumes.get(name);
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
export async function isLost({ volume }: MigrationSnapshot): Promise<boolean> {
  return volume.thin === undefined && (await readSnapshotFill(volume.device)) === undefined;
}

/** Removes snapshots, then takes them off the record. */
export async function dropSnapshots(
  migration: Migration,
  snapshots: readonly MigrationSnapshot[],
): Promise<void> {
  for (const { volume } of snapshots) await removeSnapshot(volume, tagOf(migration.state));
  const gone = new Set(snapshots.map(({ name }) => name));
  const { state } = migration;
  await record(migration, {
    snapshots: state.snapshots.filter((name) => !gone.has(name)),
    held: state.held !== undefined && gone.has(state.held) ? undefined : state.held,
  });
}

/** All snapshots that any migration of this origin has made, on record or not. */
export async function findLeftSnapshots(
  origin: LogicalVolume,
  id: string | undefined,
): Promise<{ volume: LogicalVolume; tag: string }[]> {
  const left = new Map<string, { volume: LogicalVolume; tag: string }>();
  const candidates = await findSnapshotsOf(origin.lvUuid);
  if (id !== undefined) candidates.push(...(await findTaggedVolumes(tagOf({ id }))));
  for (const volume of candidates) {
    const tag = volume.tags.find((each) => each.startsWith(TAG_PREFIX));
    if (tag !== undefined) left.set(volume.lvUuid, { volume, tag });
  }
  return [...left.values()];
}
