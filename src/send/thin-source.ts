/** Changes between two thin volumes of a pool, as the pool's metadata list them. */
import { setTimeout as delay } from 'node:timers/promises';
import { addPiece, createBatch } from '../block/batch.js';
import type { BlockFile, Engine } from '../block/engine.js';
import { stateDirectoryPath } from '../block/state-directory.js';
import { LvmsyncError } from '../errors.js';
import type { ExtentSource } from '../extents/extents.js';
import { createPieceCursor } from '../extents/piece-cursor.js';
import { inTurns } from '../extents/turns.js';
import { type DeviceActivity, readDeviceActivity, wasWritten } from '../lvm/device-writes.js';
import { readStatus, readTable } from '../lvm/dm-device.js';
import { parseThinTable } from '../lvm/dm-table.js';
import { type ExceptionPair, pickAreas } from '../lvm/exception-pairs.js';
import { withMetadataSnapshot } from '../lvm/metadata-snapshot.js';
import { checkThinDeltaVersion, readThinDelta } from '../lvm/thin-delta.js';
import { assertPoolUsable, readPool, readPoolUsage, type ThinPool } from '../lvm/thin-pool.js';
import { findThinDataSource, findThinOrigin, type ThinVolume } from '../lvm/thin-volume.js';
import type { ChangeSource, SnapshotOptions } from './change-source.js';

/**
 * Changes from a thin snapshot to its origin as it is now, or to a later snapshot of that origin.
 *
 * @throws LvmsyncError NOT_A_SNAPSHOT, SNAPSHOT_UNSUPPORTED, DATA_SOURCE_UNSUITABLE;
 *   SNAPSHOT_INVALID for a pool in trouble; SNAPSHOT_IN_USE when somebody else holds its metadata
 *   snapshot; TOOL_MISSING, TOOL_FAILED; INTERRUPTED; of opening
 */
export async function openThinSource(
  snapshot: ThinVolume,
  options: SnapshotOptions,
): Promise<ChangeSource> {
  const { dataPath, force = false, engine, signal, onWarning } = options;
  const newer =
    dataPath === undefined
      ? await findThinOrigin(snapshot)
      : await findThinDataSource(snapshot, dataPath, force);
  const pool = await readPool(snapshot.poolDevice);
  assertPoolUsable(pool, await readPoolUsage(pool));
  await checkThinDeltaVersion();
  if (!force) await refuseDiscarded(snapshot);

  const data = await engine.open(newer.path, { mode: 'read' });
  const files = [data];
  const close = async () => {
    for (const file of files) await file.close();
  };
  try {
    const store = await engine.open(snapshot.path, { mode: 'read' });
    files.push(store);
    // Writes that wait in the page cache get a place in the pool only when they reach the device.
    await data.flush();
    await assertCounted(newer, data, engine);
    const before = await readDeviceActivity(newer.device);
    const { chunkBytes } = pool;
    const { changed, discarded } = await withMetadataSnapshot(
      pool,
      { stateDirectory: stateDirectoryPath(options.stateDirectory), signal, onWarning },
      () =>
        readThinDelta({
          metadataPath: pool.metadataPath,
          olderId: snapshot.volume.thin.id,
          newerId: newer.volume.thin.id,
          chunkBytes,
          volumeBytes: data.sizeBytes,
          signal,
        }),
    );
    return {
      description: snapshot.path,
      id: `${snapshot.volume.vgUuid} ${snapshot.volume.lvUuid} ${snapshot.volume.createdAt}`,
      extents: changed,
      discarded,
      data,
      store,
      pairs: (sampleAreas) => chunkPairs(changed, chunkBytes, sampleAreas),
      volumeBytes: data.sizeBytes,
      exceptionCount: Math.ceil(changed.totalBytes / chunkBytes),
      chunkBytes,
      paths: [snapshot.path, newer.path],
      recheck: () => recheck(snapshot, newer, pool, before),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * What was discarded both in the snapshot and in its origin differs from the target, but not in
 * the pool: neither volume holds it.
 */
async function refuseDiscarded({ name, path, device }: ThinVolume): Promise<void> {
  const { discardedSectors } = await readDeviceActivity(device);
  if (discardedSectors === 0) return;
  throw new LvmsyncError(
    'SNAPSHOT_UNSUPPORTED',
    `${name} itself had blocks discarded (fstrim, or mounted with -o discard): it is not known any more what the target has to lose`,
    {
      path,
      hint: 'take a new snapshot and copy the whole volume; or, if it is known to be right, --force',
    },
  );
}

/** How long after a read the kernel may take to count it. */
const COUNT_TRIES = 20;
const COUNT_RETRY_MS = 5;

/** Whether a change during the run would be noticed: some kernels let the counters be switched off. */
async function assertCounted(
  { name, path, device }: ThinVolume,
  data: BlockFile,
  engine: Engine,
): Promise<void> {
  const batch = createBatch(engine.allocate(data.blockBytes), 1);
  addPiece(batch, 0, data.blockBytes, 0);
  const before = await readDeviceActivity(device);
  await data.read(batch);
  for (let tries = 0; tries < COUNT_TRIES; tries++) {
    if ((await readDeviceActivity(device)).readSectors !== before.readSectors) return;
    await delay(COUNT_RETRY_MS);
  }
  throw new LvmsyncError(
    'SNAPSHOT_UNSUPPORTED',
    `the kernel does not count what is done to ${name}, so a change during the run would go unnoticed`,
    { path, hint: `switch it on: echo 1 > /sys/dev/block/${device}/queue/iostats` },
  );
}

/** The changed chunks as areas: of each, old and new data lie at the same offset. */
const AREA_CHUNKS = 256;

function chunkPairs(
  changed: ExtentSource,
  chunkBytes: number,
  sampleAreas: number | undefined,
): AsyncIterable<ExceptionPair[]> {
  const areaCount = Math.ceil(changed.totalBytes / chunkBytes / AREA_CHUNKS);
  const sampled =
    sampleAreas === undefined ? undefined : new Set(pickAreas(areaCount, sampleAreas));
  function* areas(): Generator<ExceptionPair[]> {
    const pieces = createPieceCursor(changed);
    for (let area = 0; area < areaCount; area++) {
      const isWanted = sampled === undefined || sampled.has(area);
      const pairs: ExceptionPair[] = [];
      for (let i = 0; i < AREA_CHUNKS && pieces.take(chunkBytes); i++) {
        if (isWanted) pairs.push({ originOffset: pieces.offset, storeOffset: pieces.offset });
      }
      yield pairs;
    }
  }
  return inTurns(areas());
}

async function recheck(
  snapshot: ThinVolume,
  newer: ThinVolume,
  pool: ThinPool,
  before: DeviceActivity,
): Promise<void> {
  for (const volume of [snapshot, newer]) await assertStillThere(volume);
  assertPoolUsable(pool, await readPoolUsage(pool));
  if (!wasWritten(before, await readDeviceActivity(newer.device))) return;
  throw new LvmsyncError(
    'SNAPSHOT_CHANGED',
    `${newer.name} was written during the run; the target is not a consistent copy`,
    {
      path: newer.path,
      hint: 'stop what writes to it (unmount it) and run the same command again, or read from a later snapshot with --data-source',
    },
  );
}

async function assertStillThere({ name, path, device, volume, poolDevice }: ThinVolume) {
  const [target] = await readTable(device).catch(() => []);
  const [status] = await readStatus(device).catch(() => []);
  const table = target?.type === 'thin' ? parseThinTable(target) : undefined;
  const isSame = table?.poolDevice === poolDevice && table.thinId === volume.thin.id;
  if (isSame && status?.words[0] !== 'Fail') return;
  throw new LvmsyncError(
    'SNAPSHOT_CHANGED',
    `${name} was removed, or failed, during the run; the target may lack changes`,
    { path, hint: 'take a new snapshot and copy the whole volume again' },
  );
}
