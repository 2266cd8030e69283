/** The snapshots of a migration: taken, found again after a kill, removed. */
import { findSnapshotsOf, findTaggedVolumes, type LogicalVolume } from '../lvm/logical-volume.js';
import { removeSnapshot } from '../lvm/remove-snapshot.js';
import { TAG_PREFIX, tagOf } from '../send/migration-state.js';
import { snapshotName } from '../send/state-fields.js';
import { type Migration, record, throwIfInterrupted } from './migration.js';
import { findOwnSnapshots, makeSnapshot, type OwnSnapshot } from './own-snapshots.js';

/** Takes a snapshot; its name is on record before. */
export async function takeSnapshot(migration: Migration): Promise<OwnSnapshot> {
  throwIfInterrupted(migration);
  const { origin, state, options } = migration;
  const number = state.snapshotCount + 1;
  const name = snapshotName(origin.volume.lvName, state.id, number);
  await record(migration, { snapshotCount: number, snapshots: [...state.snapshots, name] });
  await makeSnapshot({
    ...{ origin, name, tag: tagOf(state) },
    size: options.snapshotSize,
    overflows: state.overflows,
    onNote: options.onNote,
  });
  const found = (await findSnapshots(migration)).find((snapshot) => snapshot.name === name);
  if (found === undefined) throw new Error(`${name} was made but is not there`);
  return found;
}

/** Those on record that are there and active, oldest first. */
export function findSnapshots({ origin, state }: Migration): Promise<OwnSnapshot[]> {
  return findOwnSnapshots(origin, tagOf(state), state.snapshots);
}

/** Removes snapshots, then takes them off the record. */
export async function dropSnapshots(
  migration: Migration,
  snapshots: readonly OwnSnapshot[],
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
