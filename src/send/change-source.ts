/** What is to be sent: a list of changes, where their data is, and whether both still hold. */
import type { BlockFile, Engine } from '../block/engine.js';
import { deviceId } from '../block/guard-devices.js';
import { readMounts } from '../block/guard-mounts.js';
import { LvmsyncError } from '../errors.js';
import type { ExtentSource } from '../extents/extents.js';
import { inTurns } from '../extents/turns.js';
import { stat } from '../files.js';
import { checkDataSource } from '../lvm/data-source.js';
import { type ExceptionPair, readExceptionPairs } from '../lvm/exception-pairs.js';
import { readExceptions, readStoreState } from '../lvm/exception-store.js';
import { assertUsable, readSnapshotStatus, type SnapshotStatus } from '../lvm/snapshot-status.js';
import { findThickSnapshot, type ThickSnapshot } from '../lvm/thick-snapshot.js';
import { findThinSnapshot } from '../lvm/thin-volume.js';
import type { RunWatcher } from '../watcher.js';
import { openThinSource } from './thin-source.js';

export interface ChangeSource {
  /** For people: the snapshot or the store. */
  readonly description: string;
  /** For machines: tells this source from any other, also after it was recreated. */
  readonly id: string;
  readonly extents: ExtentSource;
  /** Those of the extents that read as zeroes because the data was discarded, where it is known. */
  readonly discarded?: ExtentSource;
  /** Where the data of the extents is read. */
  readonly data: BlockFile;
  /** The old data of what has changed: the exception store, or the older thin snapshot. */
  readonly store: BlockFile;
  /**
   * The changed chunks with the places of their old data, some hundred at a time, ascending: all,
   * or some of so many areas of the list.
   */
  pairs(sampleAreas: number | undefined): AsyncIterable<ExceptionPair[]>;
  /** Size of the volume in bytes: what a target must hold. */
  readonly volumeBytes: number;
  /** Changed chunks. */
  readonly exceptionCount: number;
  readonly chunkBytes: number;
  /** Every device of the source: none of them can be the target. */
  readonly paths: readonly string[];
  /**
   * To be called after the last byte was sent: what was sent is right only if this passes.
   *
   * @throws LvmsyncError SNAPSHOT_INVALID, SNAPSHOT_CHANGED
   */
  recheck(): Promise<void>;
  close(): Promise<void>;
}

export interface StoreOptions {
  /** The exception store: a -cow device or an image of one. */
  storePath: string;
  /** The origin, or what stands for it. */
  dataPath: string;
  engine: Engine;
}

/**
 * Changes listed by an exception store, without LVM or device-mapper: any device or file.
 *
 * @throws LvmsyncError of opening, and what `readExceptions` throws
 */
export async function openStoreSource(options: StoreOptions): Promise<ChangeSource> {
  return openSource({
    ...options,
    description: options.storePath,
    id: `${options.storePath} ${options.dataPath}`,
    originIsLive: true,
    paths: [],
  });
}

export interface SnapshotOptions {
  /** A snapshot, or an origin that has just one, by any of its names. */
  name: string;
  /** Read the data here: a later snapshot of the same origin. */
  dataPath?: string | undefined;
  /** Take `dataPath` even if it is not such a snapshot. */
  force?: boolean | undefined;
  engine: Engine;
  /** See `stateDirectoryPath`; used for thin snapshots. */
  stateDirectory?: string | undefined;
  /** Ends the reading of a list of changes that takes long. */
  signal?: AbortSignal | undefined;
  /** Told what makes the copy doubtful without making it wrong for certain. */
  onWarning?: ((line: string) => void) | undefined;
  /** Told how full a thick snapshot is. */
  watcher?: RunWatcher | undefined;
}

/**
 * Changes to the origin since its snapshot, thick or thin, was taken.
 *
 * @throws LvmsyncError VOLUME_NOT_FOUND and its kin, NOT_A_SNAPSHOT, SNAPSHOT_UNSUPPORTED,
 *   SNAPSHOT_INVALID, and what `openStoreSource` and `openThinSource` throw
 */
export async function openSnapshotSource(options: SnapshotOptions): Promise<ChangeSource> {
  const thin = await findThinSnapshot(options.name);
  if (thin === undefined) return openThickSource(options);
  const source = await openThinSource(thin, options);
  if (options.dataPath === undefined) await warnIfMounted(source.data.path, options);
  return source;
}

async function openThickSource(options: SnapshotOptions): Promise<ChangeSource> {
  const { engine } = options;
  const snapshot = await findThickSnapshot(options.name);
  const dataPath = await findDataSource(snapshot, options);
  if (dataPath === undefined) await warnIfMounted(snapshot.originPath, options);
  const status = await readActiveStatus(snapshot);
  options.watcher?.snapshotFill(status.allocatedSectors / status.totalSectors);
  const source = await openSource({
    storePath: snapshot.storePath,
    dataPath: dataPath ?? snapshot.originPath,
    engine,
    description: snapshot.snapshotPath,
    id: snapshotId(snapshot),
    // A later snapshot does not change any more, however much the origin does.
    originIsLive: dataPath === undefined || (await isSameDevice(dataPath, snapshot.originPath)),
    statusCount: status.exceptionCount,
    paths: [snapshot.snapshotPath, snapshot.originPath],
  });
  return {
    ...source,
    async recheck() {
      await source.recheck();
      const after = await readActiveStatus(snapshot).catch((cause: unknown) => {
        if (!(cause instanceof LvmsyncError) || cause.code === 'SNAPSHOT_INVALID') throw cause;
        throw lost(snapshot.name, snapshot.snapshotPath, cause.message);
      });
      if (dataPath === undefined && after.exceptionCount !== source.exceptionCount) {
        throw new LvmsyncError(
          'SNAPSHOT_CHANGED',
          `${snapshot.name}: its list holds ${source.exceptionCount} chunks, but device-mapper counts ${after.exceptionCount}; the target may lack changes`,
          {
            path: snapshot.snapshotPath,
            hint: 'stop what writes to the origin and run the same command again; if the numbers stay apart, copy the whole volume',
          },
        );
      }
    },
  };
}

async function isSameDevice(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([stat(one), stat(other)]);
  return first.isBlockDevice() && second.isBlockDevice() && first.rdev === second.rdev;
}

async function warnIfMounted(originPath: string, { onWarning }: SnapshotOptions): Promise<void> {
  const device = deviceId((await stat(originPath, { bigint: true })).rdev);
  const mount = (await readMounts()).find((one) => one.device === device && !one.readOnly);
  if (mount === undefined) return;
  onWarning?.(
    `${originPath} is mounted on ${mount.mountPoint}: what is still in memory is not sent, and a change during the run fails it; unmount it, or read from a later snapshot with --data-source`,
  );
}

/** LVM's UUIDs do not come again; for a snapshot made with dmsetup there is only its place. */
function snapshotId({ volume, device, realDevice }: ThickSnapshot): string {
  if (volume === undefined) return `dm ${device} of ${realDevice}`;
  return `${volume.vgUuid} ${volume.lvUuid} ${volume.createdAt}`;
}

async function findDataSource(
  snapshot: ThickSnapshot,
  { dataPath, force }: SnapshotOptions,
): Promise<string | undefined> {
  if (dataPath === undefined || force) return dataPath;
  const later = await checkDataSource(snapshot, dataPath);
  return later.snapshotPath;
}

interface SourceOptions extends StoreOptions {
  description: string;
  id: string;
  /** Whether a change to the origin is a change to the data that is sent. */
  originIsLive: boolean;
  /** How many exceptions device-mapper counts, where it was asked. */
  statusCount?: number;
  paths: string[];
}

async function openSource(options: SourceOptions): Promise<ChangeSource> {
  const { storePath, dataPath, engine, description, originIsLive } = options;
  const data = await engine.open(dataPath, { mode: 'read' });
  const store = await engine.open(storePath, { mode: 'read' }).catch(closing(data));
  const close = async () => {
    await store.close();
    await data.close();
  };
  try {
    // Writes that wait in the page cache make exceptions only when they reach the device.
    await data.flush();
    const extents = await readExceptions(store, {
      originBytes: data.sizeBytes,
      engine,
      exceptionCount: options.statusCount,
    });
    const { exceptionCount, chunkBytes } = extents;
    return {
      description,
      id: options.id,
      extents,
      data,
      store,
      pairs: (sampleAreas) =>
        inTurns(readExceptionPairs(store, { engine, chunkBytes, exceptionCount, sampleAreas })),
      volumeBytes: data.sizeBytes,
      exceptionCount,
      chunkBytes,
      paths: [...options.paths, storePath, dataPath],
      async recheck() {
        const state = await readStoreState(store, { engine, exceptionCount });
        if (!state.valid) throw filledUp(description);
        if (state.exceptionCount < exceptionCount) {
          throw lost(description, description, 'its list of changes has become shorter');
        }
        if (originIsLive && state.exceptionCount !== exceptionCount) {
          throw new LvmsyncError(
            'SNAPSHOT_CHANGED',
            `${description}: ${state.exceptionCount - exceptionCount} more chunks of the origin were written during the run; the target is not a consistent copy`,
            {
              path: description,
              hint: 'stop what writes to the origin (unmount it) and run the same command again, or read from a later snapshot with --data-source',
            },
          );
        }
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function readActiveStatus(snapshot: ThickSnapshot): Promise<SnapshotStatus> {
  const status = await readSnapshotStatus(snapshot);
  assertUsable(snapshot, status);
  return status;
}

function filledUp(description: string): LvmsyncError {
  return new LvmsyncError(
    'SNAPSHOT_INVALID',
    `${description}: the snapshot has filled up and lost changes; the target is not a copy of the origin`,
    {
      path: description,
      hint: 'remove it, take a new and larger one (lvcreate -s -L), and copy the whole volume again',
    },
  );
}

/** What is a refusal before a transfer is not one behind it: the target has been written. */
function lost(name: string, path: string, sign: string): LvmsyncError {
  return new LvmsyncError(
    'SNAPSHOT_CHANGED',
    `${name} was removed or merged during the run (${sign}); the target may lack changes`,
    { path, hint: 'take a new snapshot and copy the whole volume again' },
  );
}

function closing(file: BlockFile): (error: unknown) => Promise<never> {
  return async (error) => {
    await file.close();
    throw error;
  };
}
