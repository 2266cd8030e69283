/** A volume to another place, with its users stopped for its last changes only. */

import { setTimeout as delay } from 'node:timers/promises';
import { acquireLock } from '../block/lock.js';
import { nowMs } from '../clock.js';
import { LvmsyncError } from '../errors.js';
import { findTaggedVolumes, type LogicalVolume } from '../lvm/logical-volume.js';
import { removeSnapshot } from '../lvm/remove-snapshot.js';
import { inBytes, inUtc } from '../report/quantities.js';
import { type MigrationFile, migrationFile } from '../send/migration-file.js';
import { type MigrationState, tagOf } from '../send/migration-state.js';
import { assertNothingSince, cutOver, startThere } from './cut-over.js';
import { type FillWatch, watchingFill } from './fill-watch.js';
import {
  type MigrateOptions,
  type Migration,
  newState,
  record,
  throwIfInterrupted,
} from './migration.js';
import { estimateSeconds, nextStep } from './migration-decision.js';
import { checkAndPrintPlan } from './migration-plan.js';
import { copyWhole, makeRound, readPendingBytes } from './migration-rounds.js';
import { dropSnapshots, findLeftSnapshots, findSnapshots } from './migration-snapshots.js';
import { asOrigin, findOrigin } from './origin.js';
import { isLost, type OwnSnapshot } from './own-snapshots.js';

export interface MigrateReport {
  /** From the beginning of the cut-over to its end; undefined after a dry run. */
  downtimeSeconds: number | undefined;
  commandSeconds: number;
  volumeBytes: number;
  /** Of all runs together. */
  rounds: number;
  /** Of this run: what was sent, as a sum over the rounds, and compared before the cut-over. */
  dataBytes: number;
  comparedBytes: number;
}

/** After so many snapshots that overflowed, larger ones have to be asked for. */
const MAX_OVERFLOWS = 3;

/**
 * Migrates a volume, or goes on with that where an earlier run stopped. When it resolves, the
 * target holds what the origin held when it was last written, and all snapshots are gone.
 *
 * @throws LvmsyncError ORIGIN_UNSUITABLE, MIGRATION_UNDER_WAY for another destination;
 *   MIGRATION_STALLED, ORIGIN_IN_USE, COMMAND_FAILED, after which the same call goes on; and what
 *   `deliver` throws
 */
export async function migrate(options: MigrateOptions): Promise<MigrateReport> {
  const volume = await findOrigin(options.origin);
  const origin = asOrigin(volume);
  const file = migrationFile(options.stateDirectory, volume.lvUuid);
  const lock = await acquireLock('migration', volume.lvUuid, origin.name);
  try {
    const state = (await file.load()) ?? newState(origin, options.destination);
    assertSameDestination(state.destination, options);
    const migration: Migration = {
      ...{ options, origin, file, state },
      ...{ pendingBytes: [], hurried: false, cutover: undefined },
      totals: { dataBytes: 0, comparedBytes: 0 },
    };
    const nothing = reportOf(migration, undefined);
    if (state.delivered === undefined) {
      await checkAndPrintPlan(migration);
      if (options.dryRun) return nothing;
      await watchingFill([fillWatch(migration)], () => bringOver(migration));
    } else {
      if (options.dryRun) {
        options.onSay(`All was delivered ${inUtc(state.delivered.at)}; what is left is the end`);
        return nothing;
      }
      const held = await findHeld(migration);
      if (held !== undefined) await assertNothingSince(migration, held);
    }
    await startThere(migration);
    const { cutover } = migration;
    const downtimeSeconds = cutover && (nowMs() - cutover.startedAt) / 1000;
    await cleanUp(volume, file, migration.state.id);
    return reportOf(migration, downtimeSeconds);
  } finally {
    await lock.release();
  }
}

function reportOf(
  { origin, state, totals, cutover }: Migration,
  downtimeSeconds: number | undefined,
): MigrateReport {
  return {
    downtimeSeconds,
    commandSeconds: cutover?.commandSeconds ?? 0,
    volumeBytes: origin.volume.sizeBytes,
    rounds: state.rounds,
    ...totals,
  };
}

export interface AbortOptions {
  origin: string;
  stateDirectory?: string | undefined;
  onSay(line: string): void;
}

/**
 * Gives a migration up: removes every snapshot that it has made, and what is known of it.
 *
 * @throws LvmsyncError VOLUME_NOT_FOUND, SNAPSHOT_IN_USE while it runs, TOOL_FAILED
 */
export async function abortMigration({
  origin: name,
  stateDirectory,
  onSay,
}: AbortOptions): Promise<void> {
  const origin = await findOrigin(name);
  const originName = `${origin.vgName}/${origin.lvName}`;
  const file = migrationFile(stateDirectory, origin.lvUuid);
  const lock = await acquireLock('migration', origin.lvUuid, originName);
  try {
    // A state that cannot be read any more keeps nothing from being cleaned up.
    const state = await file.load().catch(() => undefined);
    if (state !== undefined) await waitForPlanned(state);
    const removed = await cleanUp(origin, file, state?.id);
    if (removed.length === 0 && state === undefined) {
      onSay(`There is no migration of ${originName}: nothing to clean up`);
      return;
    }
    onSay(
      `Given up: the migration of ${originName}; removed ${removed.join(', ') || 'no snapshot'}`,
    );
    if (state !== undefined) onSay(`${state.destination} is not a copy of it`);
  } finally {
    await lock.release();
  }
}

/** How long an lvcreate may take to begin that a killed run has started, in milliseconds. */
const LATE_SNAPSHOT_MS = 2000;

/** A snapshot on record that is not there may still be about to be made. */
async function waitForPlanned(state: MigrationState): Promise<void> {
  const names = new Set((await findTaggedVolumes(tagOf(state))).map(({ lvName }) => lvName));
  if (!state.snapshots.every((name) => names.has(name))) await delay(LATE_SNAPSHOT_MS);
}

function assertSameDestination(destination: string, options: MigrateOptions): void {
  if (destination === options.destination) return;
  throw new LvmsyncError(
    'MIGRATION_UNDER_WAY',
    `${options.origin} is being migrated to ${destination} already`,
    { hint: 'name that destination to go on, or give it up with lvmsync migrate --abort' },
  );
}

function fillWatch(migration: Migration): FillWatch {
  const { origin, options } = migration;
  return {
    ...{ origin, extendAtPercent: options.extendAtPercent },
    names: () => migration.state.snapshots,
    find: () => findSnapshots(migration),
    onFill: options.delivery.watcher?.snapshotFill,
    onFillingUp() {
      migration.hurried = true;
    },
    ...{ onSay: options.onSay, onWarning: options.onWarning },
  };
}

/** Until the target holds the origin's last state. */
async function bringOver(migration: Migration): Promise<void> {
  // What a killed run had planned and not made would stay on record for ever.
  const names = (await findSnapshots(migration)).map(({ name }) => name);
  const { held } = migration.state;
  const kept = migration.state.snapshots.filter((name) => names.includes(name) || name === held);
  await record(migration, { snapshots: kept });
  while (migration.state.delivered === undefined) {
    throwIfInterrupted(migration);
    const held = await findHeld(migration);
    try {
      if (held === undefined) await copyWhole(migration);
      else if (await isTimeToCutOver(migration, held)) await cutOver(migration, held);
      else await makeRound(migration, held);
    } catch (error) {
      if (!(await replaceLost(migration, error))) throw error;
    }
  }
}

async function isTimeToCutOver(migration: Migration, held: OwnSnapshot): Promise<boolean> {
  const { options, state } = migration;
  if (migration.cutover !== undefined) return true;
  const pending = await readPendingBytes(migration, held);
  migration.pendingBytes.push(pending);
  const seconds = estimateSeconds(pending, state.bytesPerSecond);
  options.onNote(
    `left to send: ${inBytes(pending)}, ${Number.isFinite(seconds) ? `${seconds.toFixed(1)} s` : 'at an unknown rate'}`,
  );
  const step = nextStep({
    rounds: state.rounds,
    wantedRounds: options.rounds,
    maxDowntimeSeconds: options.maxDowntimeSeconds,
    bytesPerSecond: state.bytesPerSecond,
    pendingBytes: migration.pendingBytes,
  });
  if (step !== 'stalled') return step === 'cutover';
  // What is asked takes time, in which a store that fills up is lost.
  if (migration.hurried) return false;
  return cutOverStalled(migration, pending, seconds);
}

async function cutOverStalled(
  migration: Migration,
  pending: number,
  seconds: number,
): Promise<boolean> {
  const { options, origin } = migration;
  const words = `the rounds do not get shorter: ${origin.name} is written as fast as it is sent; ${inBytes(pending)} are left, about ${seconds.toFixed(0)} s`;
  options.onWarning(words);
  const { onStall = await options.ask?.('What now?', ['cutover', 'continue', 'abort']) } = options;
  migration.pendingBytes = [];
  if (onStall === 'cutover') return true;
  if (onStall === 'continue') return false;
  throw new LvmsyncError('MIGRATION_STALLED', words, {
    hint: 'run the same command again with --on-stall cutover, or a longer --max-downtime, or when less is written; until then its snapshots fill up (lvmsync migrate --abort removes them)',
  });
}

/** The snapshot that the target holds, as long as it is there. */
async function findHeld(migration: Migration): Promise<OwnSnapshot | undefined> {
  const { held } = migration.state;
  if (held === undefined) return undefined;
  const found = (await findSnapshots(migration)).find(({ name }) => name === held);
  if (found !== undefined && !(await isLost(found))) return found;
  await loseHeld(migration, `snapshot ${held} ${found === undefined ? 'is gone' : 'overflowed'}`);
  return undefined;
}

/**
 * After a failure: drops the snapshots that have overflowed. Without the one that the target
 * holds, nobody knows what it lacks, and the volume has to be copied again.
 *
 * @returns whether that was the reason, so that it can be gone on
 */
async function replaceLost(migration: Migration, error: unknown): Promise<boolean> {
  const isOurs = error instanceof LvmsyncError && error.code !== 'INTERRUPTED';
  if (!isOurs || migration.options.signal.aborted) return false;
  const lost: OwnSnapshot[] = [];
  for (const snapshot of await findSnapshots(migration)) {
    if (await isLost(snapshot)) lost.push(snapshot);
  }
  if (lost.length === 0) return false;
  const names = lost.map(({ name }) => name);
  const { held } = migration.state;
  if (held !== undefined && names.includes(held)) {
    await loseHeld(migration, `snapshot ${held} overflowed`);
  } else {
    await countOverflow(migration, `snapshot ${names.join(', ')} overflowed: taking a larger one`);
    await dropSnapshots(migration, lost);
  }
  return true;
}

async function loseHeld(migration: Migration, why: string): Promise<void> {
  const { held } = migration.state;
  await countOverflow(
    migration,
    `${why}: what has changed since is not known any more, so the whole volume is sent or compared once more`,
  );
  await record(migration, { held: undefined, begun: false });
  const snapshots = await findSnapshots(migration);
  const lost: OwnSnapshot[] = [];
  for (const snapshot of snapshots) {
    if (snapshot.name === held || (await isLost(snapshot))) lost.push(snapshot);
  }
  await dropSnapshots(migration, lost);
}

async function countOverflow(migration: Migration, words: string): Promise<void> {
  const { overflows } = migration.state;
  if (overflows >= MAX_OVERFLOWS) {
    throw new LvmsyncError('SNAPSHOT_INVALID', `${words}; that has happened ${overflows} times`, {
      hint: 'run the same command again with a larger --snapshot-size',
    });
  }
  migration.options.onWarning(words);
  migration.pendingBytes = [];
  migration.hurried = false;
  await record(migration, { overflows: overflows + 1 });
}

/** Removes all snapshots of the migration, then its state. Resolves their names. */
async function cleanUp(
  origin: LogicalVolume,
  file: MigrationFile,
  id: string | undefined,
): Promise<string[]> {
  const names: string[] = [];
  for (const { volume, tag } of await findLeftSnapshots(origin, id)) {
    await removeSnapshot(volume, tag);
    names.push(`${volume.vgName}/${volume.lvName}`);
  }
  await file.remove();
  return names;
}
