/** The end of a migration: the origin at rest, its last changes, and the target in its place. */

import { setTimeout as delay } from 'node:timers/promises';
import { nowMs } from '../clock.js';
import { LvmsyncError } from '../errors.js';
import { extentsDigest } from '../extents/digest.js';
import { extentsOfList } from '../extents/from.js';
import { whyNotAtRest } from '../lvm/at-rest.js';
import { readDeviceActivity, wasWritten } from '../lvm/device-writes.js';
import { inBytes, inUtc } from '../report/quantities.js';
import { type ChangeSource, openSnapshotSource } from '../send/change-source.js';
import { type Migration, record, throwIfInterrupted } from './migration.js';
import { closing, send } from './migration-rounds.js';
import type { OwnSnapshot } from './own-snapshots.js';
import { verify } from './verify.js';

/** What has just been stopped may take a moment to close its files. */
const REST_WAIT_MS = 5000;
const REST_LOOK_MS = 200;
/** Of 64 KiB each. */
const SAMPLE_BLOCKS = 4096;

/**
 * Sends what has changed since `held`, of an origin that nobody writes to any more. When it
 * resolves the target holds the origin.
 *
 * @throws LvmsyncError COMMAND_FAILED, ORIGIN_IN_USE, SNAPSHOT_CHANGED; what `deliver` throws
 */
export async function cutOver(migration: Migration, held: OwnSnapshot): Promise<void> {
  const { options, state } = migration;
  const { name: originName, volume } = migration.origin;
  options.delivery.watcher?.stage('cut-over');
  await beginCutover(migration);
  options.delivery.watcher?.phase('scan');
  throwIfInterrupted(migration);
  await assertAtRest(migration, REST_WAIT_MS);
  const atRestAt = nowMs();
  migration.cutover ??= { startedAt: atRestAt, commandSeconds: 0 };
  const source = await openFromOrigin(migration, held);
  const before = await readDeviceActivity(volume.device);
  const assertUnwritten = async () => {
    if (!wasWritten(before, await readDeviceActivity(volume.device))) return;
    throw new LvmsyncError(
      'SNAPSHOT_CHANGED',
      `${originName} was written while its last changes were sent`,
      {
        path: originName,
        hint: 'stop what writes to it and run the same command again',
      },
    );
  };
  const changes = await extentsDigest(source.extents);
  const dataBytes = await closing(source, async () => {
    const sentBytes = await send(migration, source, state.begun ? 'none' : 'sample');
    await assertSame(migration, source, assertUnwritten);
    return sentBytes;
  });
  await assertAtRest(migration, 0);
  await assertUnwritten();
  const seconds = (nowMs() - atRestAt) / 1000;
  await record(migration, { delivered: { at: Math.floor(Date.now() / 1000), changes } });
  options.onSay(
    `Last changes: ${dataBytes} bytes (${inBytes(dataBytes)}) in ${seconds.toFixed(1)} s; the target holds ${originName}`,
  );
}

/**
 * Compares the target with the origin. Where they differ, nothing that was believed of the target
 * is: the next run compares all of it.
 *
 * @param assertUnwritten that explains a difference without any doubt of the target
 * @throws LvmsyncError TARGET_DIFFERS, and what `assertUnwritten` throws
 */
async function assertSame(
  migration: Migration,
  source: ChangeSource,
  assertUnwritten: () => Promise<void>,
): Promise<void> {
  const { verify: choice, delivery, engine, peer, onSay } = migration.options;
  if (choice === 'none') return;
  const { discarded: _, volumeBytes, ...rest } = source;
  const extents = choice === 'changed' ? source.extents : extentsOfList([[0, volumeBytes]]);
  const startedAt = nowMs();
  const connection = peer.connect(source);
  try {
    const { comparedBytes, remaining } = await verify({
      ...delivery,
      source: { ...rest, volumeBytes, extents },
      engine,
      ...{ open: connection.open, openVerifier: connection.openVerifier },
      sample: choice === 'sample' ? { blocks: SAMPLE_BLOCKS } : undefined,
    });
    const seconds = ((nowMs() - startedAt) / 1000).toFixed(1);
    migration.totals.comparedBytes += comparedBytes;
    onSay(`Compared ${comparedBytes} bytes (${choice}) in ${seconds} s`);
    if (remaining.totalBytes === 0) return;
    await assertUnwritten();
    await record(migration, { held: undefined, begun: false });
    throw new LvmsyncError(
      'TARGET_DIFFERS',
      `${remaining.totalBytes} bytes of the target differ from ${migration.origin.name} after all was sent`,
      {
        hint: 'look for what else writes to the target, then run the same command again: it compares the whole volume',
      },
    );
  } finally {
    await connection.close();
  }
}

/** What is still to be done when the target holds all; also by a run after one that was killed. */
export async function startThere(migration: Migration): Promise<void> {
  const { options } = migration;
  if (options.afterCutover === undefined) return;
  options.delivery.watcher?.phase('command');
  options.onSay(`Running there: ${options.afterCutover}`);
  try {
    await options.peer.runShell(options.afterCutover);
  } catch (cause) {
    if (!(cause instanceof LvmsyncError)) throw cause;
    throw new LvmsyncError(cause.code, cause.message, {
      hint: 'the target holds the volume all the same: run the same command again to try this once more, or clean up with lvmsync migrate --abort',
      cause,
    });
  }
}

/**
 * Of a migration whose last changes an earlier run has delivered: whether they were the last.
 *
 * @throws LvmsyncError SNAPSHOT_CHANGED
 */
export async function assertNothingSince(migration: Migration, held: OwnSnapshot): Promise<void> {
  const { state, options } = migration;
  const originName = migration.origin.name;
  const { delivered } = state;
  if (delivered === undefined) return;
  const source = await openFromOrigin(migration, held);
  const changes = await extentsDigest(source.extents);
  await source.close();
  const when = inUtc(delivered.at);
  if (changes === delivered.changes) {
    options.onSay(
      `The last changes of ${originName} were delivered ${when}; nothing is sent again`,
    );
    return;
  }
  throw new LvmsyncError(
    'SNAPSHOT_CHANGED',
    `${originName} was written after its last changes had been delivered ${when}; the target does not have that`,
    {
      path: originName,
      hint: 'if the target is in use already, clean up with lvmsync migrate --abort; if not, do that too and migrate again',
    },
  );
}

function openFromOrigin({ options }: Migration, held: OwnSnapshot): Promise<ChangeSource> {
  return openSnapshotSource({
    name: held.path,
    engine: options.engine,
    stateDirectory: options.stateDirectory,
    signal: options.signal,
  });
}

async function beginCutover(migration: Migration): Promise<void> {
  const { options } = migration;
  const { beforeCutover } = options;
  if (migration.cutover !== undefined || beforeCutover === undefined) return;
  const startedAt = nowMs();
  options.delivery.watcher?.phase('command');
  options.onSay(`Running here: ${beforeCutover}`);
  try {
    await options.runShell(beforeCutover);
  } catch (cause) {
    if (!(cause instanceof LvmsyncError)) throw cause;
    throw new LvmsyncError(cause.code, `${cause.message}; no cut-over`, {
      hint: 'the origin is as it was, and the target lacks its last changes: run the same command again, or give up with lvmsync migrate --abort',
      cause,
    });
  }
  migration.cutover = { startedAt, commandSeconds: (nowMs() - startedAt) / 1000 };
}

/** Waits a while for the origin to be closed, or asks for it. @throws LvmsyncError ORIGIN_IN_USE */
async function assertAtRest(migration: Migration, waitMs: number): Promise<void> {
  const { options } = migration;
  const { name: originName, volume } = migration.origin;
  const deadline = nowMs() + waitMs;
  for (;;) {
    throwIfInterrupted(migration);
    const why = await whyNotAtRest(volume.device);
    if (why === undefined) return;
    if (nowMs() < deadline) {
      await delay(REST_LOOK_MS);
      continue;
    }
    const canAsk = waitMs > 0 && options.beforeCutover === undefined ? options.ask : undefined;
    const question = `${originName} ${why}. Stop what uses it, then cut over, or stop here?`;
    if ((await canAsk?.(question, ['cutover', 'stop'])) === 'cutover') continue;
    throw new LvmsyncError(
      'ORIGIN_IN_USE',
      `${originName} ${why}: no cut-over before it is at rest`,
      {
        path: originName,
        hint: 'stop what uses it and unmount it (or mount it read-only, or freeze it: fsfreeze -f), then run the same command again; or have --before-cutover do that',
      },
    );
  }
}
