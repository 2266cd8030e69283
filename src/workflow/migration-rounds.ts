/** The full copy and the rounds: what brings the target near while the origin lives. */
import { nowMs } from '../clock.js';
import { LvmsyncError } from '../errors.js';
import { inBytes } from '../report/quantities.js';
import { type ChangeSource, openSnapshotSource } from '../send/change-source.js';
import { lockSnapshot } from '../send/lock-snapshot.js';
import { openWholeSource } from '../send/whole-source.js';
import { deliver } from './deliver.js';
import { type Migration, record } from './migration.js';
import { measuredRate } from './migration-decision.js';
import { dropSnapshots, findSnapshots, takeSnapshot } from './migration-snapshots.js';
import type { OwnSnapshot } from './own-snapshots.js';
import { verify } from './verify.js';

/**
 * Brings a whole snapshot over: the one that an interrupted copy was of, or a new one. A target that
 * has held a copy before is compared.
 */
export async function copyWhole(migration: Migration): Promise<void> {
  const { options, origin, state } = migration;
  const present = await findSnapshots(migration);
  // What has held a copy may be nearer to what is now than to what was.
  const going = state.copied ? undefined : present.at(-1);
  await dropSnapshots(
    migration,
    present.filter((each) => each !== going),
  );
  const snapshot = going ?? (await takeSnapshot(migration));
  const how = migration.state.copied ? 'Comparing' : 'Copying';
  options.onSay(`${how} ${origin.name} whole, as it was in ${snapshot.name}`);
  options.delivery.watcher?.stage('copy');
  const startedAt = nowMs();
  const source = await openWholeSource({ ...options, path: snapshot.path });
  const dataBytes = await closing(source, () =>
    migration.state.copied ? repair(migration, source) : send(migration, source, 'none'),
  );
  const seconds = (nowMs() - startedAt) / 1000;
  const rate = measuredRate(migration.state.bytesPerSecond, dataBytes, seconds);
  await record(migration, {
    ...{ held: snapshot.name, copied: true, begun: false },
    bytesPerSecond: rate,
  });
  sayTransfer(migration, 'Copied', dataBytes, seconds);
}

/**
 * Brings the target from the snapshot it holds to a later one. The earlier one's list is read when
 * the later one is there: it has every chunk in which they differ. What the origin writes
 * meanwhile is in the later one's list.
 */
export async function makeRound(migration: Migration, held: OwnSnapshot): Promise<void> {
  const { options, state, origin } = migration;
  options.delivery.watcher?.stage(`round ${state.rounds + 1}`);
  options.delivery.watcher?.phase('scan');
  const present = await findSnapshots(migration);
  const last = present.at(-1);
  const next = last === undefined || last.name === held.name ? await takeSnapshot(migration) : last;
  const source = await openSnapshotSource({
    name: held.path,
    dataPath: next.path,
    // Its number says that it is later. LVM's time does not, within a second.
    force: origin.kind === 'thick',
    engine: options.engine,
    stateDirectory: options.stateDirectory,
    signal: options.signal,
    onWarning: options.onWarning,
  });
  const startedAt = nowMs();
  const dataBytes = await closing(source, () =>
    send(migration, source, state.begun ? 'none' : 'sample'),
  );
  const seconds = (nowMs() - startedAt) / 1000;
  const rounds = state.rounds + 1;
  const rate = measuredRate(migration.state.bytesPerSecond, dataBytes, seconds);
  await record(migration, { held: next.name, begun: false, rounds, bytesPerSecond: rate });
  sayTransfer(migration, `Round ${rounds}:`, dataBytes, seconds);
  const earlier = present.filter(({ name }) => name !== next.name);
  await dropSnapshots(migration, earlier);
}

/** What has changed since a snapshot: what is left to send. */
export async function readPendingBytes(migration: Migration, held: OwnSnapshot): Promise<number> {
  const { options } = migration;
  const source = await openSnapshotSource({
    name: held.path,
    engine: options.engine,
    stateDirectory: options.stateDirectory,
    signal: options.signal,
  });
  await source.close();
  return source.extents.totalBytes;
}

/** Closes a source when it has been used. */
export async function closing<T>(source: ChangeSource, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } finally {
    await source.close();
  }
}

/** Sends a source to the target. @returns bytes of data sent */
export async function send(
  migration: Migration,
  source: ChangeSource,
  base: 'none' | 'sample',
): Promise<number> {
  const { engine, peer, delivery } = migration.options;
  const lock = await lockSnapshot(source, engine);
  const connection = peer.connect(source);
  try {
    await record(migration, { begun: true });
    const { dataBytes } = await deliver({
      ...delivery,
      source,
      engine,
      open: connection.open,
      protocol: 4,
      base,
      skipUnchanged: migration.hurried ? 'never' : delivery.skipUnchanged,
    });
    migration.totals.dataBytes += dataBytes;
    return dataBytes;
  } finally {
    await connection.close();
    await lock.release();
  }
}

/** Compares the target with a source, and sends what differs. @returns bytes of data sent */
async function repair(migration: Migration, source: ChangeSource): Promise<number> {
  const { engine, peer, delivery } = migration.options;
  const connection = peer.connect(source);
  try {
    const { remaining, repairedBytes } = await verify({
      ...delivery,
      source,
      engine,
      open: connection.open,
      openVerifier: (onStderr) => connection.openVerifier(onStderr, true),
      repair: true,
    });
    migration.totals.dataBytes += repairedBytes;
    if (remaining.totalBytes === 0) return repairedBytes;
    throw new LvmsyncError(
      'TARGET_DIFFERS',
      `${remaining.totalBytes} bytes of the target differ from ${source.description} although they were sent`,
      { hint: 'look for what else writes to the target, then run the same command again' },
    );
  } finally {
    await connection.close();
  }
}

function sayTransfer(
  { options }: Migration,
  what: string,
  dataBytes: number,
  seconds: number,
): void {
  options.onSay(`${what} ${dataBytes} bytes (${inBytes(dataBytes)}) in ${seconds.toFixed(1)} s`);
}
