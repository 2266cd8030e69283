/** Watches how full the snapshots of a migration are, and extends them in time. */
import { setTimeout as delay } from 'node:timers/promises';
import { extendSnapshot } from '../lvm/extend-snapshot.js';
import { readPoolFill, readSnapshotFill } from '../lvm/snapshot-fill.js';
import { inBytes, type Migration } from './migration.js';
import { findSnapshots, type MigrationSnapshot } from './migration-snapshots.js';
import { extensionBytes } from './store-size.js';

const LOOK_MS = 1000;

/** Keeps watch while `work` runs. What fails in watching is said, and ends nothing. */
export async function watchingFill<T>(migration: Migration, work: () => Promise<T>): Promise<T> {
  const ending = new AbortController();
  const said = new Set<string>();
  const watch = watchUntil(migration, ending.signal, (key, line) => {
    if (said.has(key)) return;
    said.add(key);
    migration.options.onWarning(line);
  });
  try {
    return await work();
  } finally {
    ending.abort();
    await watch;
  }
}

type SayOnce = (key: string, line: string) => void;

async function watchUntil(
  migration: Migration,
  signal: AbortSignal,
  sayOnce: SayOnce,
): Promise<void> {
  let snapshots: MigrationSnapshot[] = [];
  while (!signal.aborted) {
    try {
      const { state, kind } = migration;
      if (kind === 'thin') await lookAtPool(migration, sayOnce);
      else if (snapshots.map(({ name }) => name).join() !== state.snapshots.join()) {
        snapshots = await findSnapshots(migration);
      }
      let fullest = 0;
      for (const snapshot of snapshots) {
        fullest = Math.max(fullest, await look(migration, snapshot, sayOnce));
      }
      if (snapshots.length > 0) migration.options.delivery.watcher?.snapshotFill(fullest);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      sayOnce('watch', `how full the snapshots are cannot be seen: ${reason}`);
    }
    await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** @returns how full the snapshot is, from 0 to 1 */
async function look(
  migration: Migration,
  { volume, name }: MigrationSnapshot,
  sayOnce: SayOnce,
): Promise<number> {
  const { options, origin } = migration;
  const fill = await readSnapshotFill(volume.device);
  if (fill === undefined) return 1; // whoever uses it meets that
  const percent = (100 * fill.usedBytes) / fill.totalBytes;
  if (percent < options.extendAtPercent) return percent / 100;
  const added = extensionBytes(fill.totalBytes, origin.sizeBytes);
  if (added === 0) return percent / 100;
  try {
    await extendSnapshot(volume, added);
    options.onSay(`Snapshot ${name} is ${percent.toFixed(0)}% full: extended by ${inBytes(added)}`);
  } catch (error) {
    migration.hurried = true;
    const reason = error instanceof Error ? error.message : String(error);
    sayOnce(
      name,
      `snapshot ${name} is ${percent.toFixed(0)}% full and cannot be extended (${reason}): going on as fast as possible; if it overflows, the whole volume is sent or compared again`,
    );
  }
  return percent / 100;
}

async function lookAtPool({ options, origin }: Migration, sayOnce: SayOnce): Promise<void> {
  const { data, metadata } = await readPoolFill(origin.device);
  options.delivery.watcher?.snapshotFill(Math.max(data, metadata));
  for (const [what, part] of [
    ['data', data],
    ['metadata', metadata],
  ] as const) {
    if (part * 100 < options.extendAtPercent) continue;
    sayOnce(
      what,
      `the thin pool of the origin is ${(part * 100).toFixed(0)}% full (${what}): extend it (lvextend) before writes fail`,
    );
  }
}
