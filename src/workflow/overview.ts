/** What lvmsync has on this machine: snapshots, migrations, replicas, and what interrupted runs left. */
import { directoryNames } from '../block/directory-names.js';
import { isLocked } from '../block/lock.js';
import { stateDirectoryPath } from '../block/state-directory.js';
import { LvmsyncError } from '../errors.js';
import { type LogicalVolume, listVolumes } from '../lvm/logical-volume.js';
import { type Fill, readSnapshotFill } from '../lvm/snapshot-fill.js';
import { type KeptState, readKeptState } from '../receive/kept-state.js';
import { migrationFile } from '../send/migration-file.js';
import { type MigrationState, tagOf } from '../send/migration-state.js';
import { type ReplicaState, replicaFile, replicaIdsOf, replicaTag } from '../send/replica-state.js';

export interface Overview {
  stateDirectory: string;
  snapshots: OwnSnapshot[];
  /** Why there may be snapshots that are not listed: LVM cannot be asked. */
  snapshotsUnknown: string | undefined;
  migrations: MigrationOverview[];
  replicas: ReplicaOverview[];
  kept: KeptState;
}

/** A snapshot that lvmsync has made, as its tag says. */
export interface OwnSnapshot {
  /** `vg/lv`. */
  name: string;
  /** `vg/lv`; undefined when it is gone. */
  origin: string | undefined;
  tag: string;
  /** In seconds since 1970. */
  takenAt: number | undefined;
  kind: 'thick' | 'thin';
  /** Of a thick one that is active and has not overflowed. */
  fill: Fill | undefined;
  /** It has overflowed, or failed otherwise. */
  lost: boolean;
  /** Whether what it was made for is on record in the state directory. */
  inUse: boolean;
}

export interface MigrationOverview {
  state: MigrationState;
  /** Whether a process is working on it at this moment. */
  running: boolean;
}

export interface ReplicaOverview {
  state: ReplicaState;
  /** Whether a process is working on it at this moment. */
  running: boolean;
}

/**
 * @param asked see `stateDirectoryPath`
 * @throws LvmsyncError OPEN_FAILED when others can write to the state directory; READ_FAILED
 */
export async function takeOverview(asked: string | undefined): Promise<Overview> {
  const stateDirectory = stateDirectoryPath(asked);
  const kept = await readKeptState(stateDirectory);
  const migrations = await readMigrations(stateDirectory, kept);
  const replicas = await readReplicas(stateDirectory, kept);
  const tags = [
    ...migrations.map(({ state }) => tagOf(state)),
    ...replicas.map(({ state }) => replicaTag(state.id)),
  ];
  const { volumes, reason } = await askLvm();
  const snapshots: OwnSnapshot[] = [];
  for (const volume of volumes) {
    const tag = volume.tags.find((each) => each.startsWith(OWN_TAGS));
    if (tag !== undefined) snapshots.push(await describe(volume, tag, volumes, tags));
  }
  return { stateDirectory, snapshots, snapshotsUnknown: reason, migrations, replicas, kept };
}

const OWN_TAGS = 'lvmsync.';
const MIGRATION_FILE = /^([0-9A-Za-z-]{38})\.migration$/;

/** Those that cannot be read are put to what is unreadable. */
async function readMigrations(directory: string, kept: KeptState): Promise<MigrationOverview[]> {
  const migrations: MigrationOverview[] = [];
  for (const name of await directoryNames(directory)) {
    const lvUuid = MIGRATION_FILE.exec(name)?.[1];
    if (lvUuid === undefined) continue;
    const file = migrationFile(directory, lvUuid);
    try {
      const state = await file.load();
      if (state === undefined) continue;
      migrations.push({ state, running: await isLocked('migration', lvUuid) });
    } catch (error) {
      const reason = error instanceof Error ? error.message : `${error}`;
      kept.unreadable.push({ path: file.path, reason });
    }
  }
  return migrations;
}

async function readReplicas(directory: string, kept: KeptState): Promise<ReplicaOverview[]> {
  const replicas: ReplicaOverview[] = [];
  for (const id of replicaIdsOf(await directoryNames(directory))) {
    const file = replicaFile(directory, id);
    try {
      const state = await file.load();
      if (state !== undefined) replicas.push({ state, running: await isLocked('replica', id) });
    } catch (error) {
      const reason = error instanceof Error ? error.message : `${error}`;
      kept.unreadable.push({ path: file.path, reason });
    }
  }
  return replicas;
}

/** A receiver needs no LVM, and who is not root may not ask. */
async function askLvm(): Promise<{ volumes: LogicalVolume[]; reason: string | undefined }> {
  try {
    return { volumes: await listVolumes(), reason: undefined };
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    return { volumes: [], reason: error.message };
  }
}

async function describe(
  volume: LogicalVolume,
  tag: string,
  volumes: readonly LogicalVolume[],
  tagsInUse: readonly string[],
): Promise<OwnSnapshot> {
  const origin = volumes.find(({ lvUuid }) => lvUuid === volume.originUuid);
  const isThick = volume.thin === undefined;
  const isReadable = isThick && volume.device !== undefined;
  const fill = isReadable ? await readSnapshotFill(volume.device ?? '') : undefined;
  return {
    name: nameOf(volume),
    origin: origin && nameOf(origin),
    tag,
    takenAt: volume.createdAt,
    kind: isThick ? 'thick' : 'thin',
    fill,
    lost: isReadable && fill === undefined,
    inUse: tagsInUse.includes(tag),
  };
}

function nameOf({ vgName, lvName }: LogicalVolume): string {
  return `${vgName}/${lvName}`;
}
