/** The full copy and the rounds: what brings the target near while the origin lives. */
import { type ChangeSource, openSnapshotSource } from '../send/change-source.js';
import { lockSnapshot } from '../send/lock-snapshot.js';
import type { SendReport } from '../send/send.js';
import { openWholeSource } from '../send/whole-source.js';
import { deliver } from './deliver.js';
import { inBytes, type Migration, record } from './migration.js';
import { measuredRate } from './migration-decision.js';
import {
  dropSnapshots,
  findSnapshots,
  type MigrationSnapshot,
  takeSnapshot,
} from './migration-snapshots.js';

/** Brings a whole snapshot over: the newest that there is, or a new one. */
export async function copyWhole(migration: Migration): Promise<void> {
  const { options, originName } = migration;
  const present = await findSnapshots(migration);
  const snapshot = present.at(-1) ?? (await takeSnapshot(migration));
  options.onSay(`Copying ${originName} whole, as it was in ${snapshot.name}`);
  const source = await openWholeSource({ ...options, path: snapshot.path });
  const { seconds, report } = await send(migration, source, 'none');
  const rate = measuredRate(migration.state.bytesPerSecond, report.dataBytes, seconds);
  await record(migration, { held: snapshot.name, begun: false, bytesPerSecond: rate });
  sayTransfer(migration, 'Copied', report, seconds);
  await dropSnapshots(migration, present.slice(0, -1));
}

/**
 * Brings the target from the snapshot it holds to a later one. The earlier one's list is read when
 * the later one is there: it has every chunk in which they differ. What the origin writes
 * meanwhile is in the later one's list.
 */
export async function makeRound(migration: Migration, held: MigrationSnapshot): Promise<void> {
  const { options, state, kind } = migration;
  const present = await findSnapshots(migration);
  const last = present.at(-1);
  const next = last === undefined || last.name === held.name ? await takeSnapshot(migration) : last;
  const source = await openSnapshotSource({
    name: held.path,
    dataPath: next.path,
    // Its number says that it is later. LVM's time does not, within a second.
    force: kind === 'thick',
    engine: options.engine,
    stateDirectory: options.stateDirectory,
    signal: options.signal,
    onWarning: options.onWarning,
  });
  const base = state.begun ? 'none' : 'sample';
  const { seconds, report } = await send(migration, source, base);
  const rounds = state.rounds + 1;
  const rate = measuredRate(migration.state.bytesPerSecond, report.dataBytes, seconds);
  await record(migration, { held: next.name, begun: false, rounds, bytesPerSecond: rate });
  sayTransfer(migration, `Round ${rounds}:`, report, seconds);
  const earlier = present.filter(({ name }) => name !== next.name);
  await dropSnapshots(migration, earlier);
}

/** What has changed since a snapshot: what is left to send. */
export async function readPendingBytes(
  migration: Migration,
  held: MigrationSnapshot,
): Promise<number> {
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

/** Sends a source to the target and closes it. */
export async function send(
  migration: Migration,
  source: ChangeSource,
  base: 'none' | 'sample',
): Promise<{ report: SendReport; seconds: number }> {
  const { engine, peer, delivery } = migration.options;
  const startedAt = performance.now();
  try {
    const lock = await lockSnapshot(source);
    const connection = peer.connect(source);
    try {
      await record(migration, { begun: true });
      const report = await deliver({
        ...delivery,
        source,
        engine,
        open: connection.open,
        protocol: 4,
        base,
        skipUnchanged: migration.hurried ? 'never' : delivery.skipUnchanged,
      });
      return { report, seconds: (performance.now() - startedAt) / 1000 };
    } finally {
      await connection.close();
      await lock.release();
    }
  } finally {
    await source.close();
  }
}

function sayTransfer(
  { options }: Migration,
  what: string,
  { dataBytes }: SendReport,
  seconds: number,
): void {
  options.onSay(`${what} ${dataBytes} bytes (${inBytes(dataBytes)}) in ${seconds.toFixed(1)} s`);
}
