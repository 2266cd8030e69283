/** Watches how full snapshots that lvmsync has taken are, and extends them in time. */
import { setTimeout as delay } from 'node:timers/promises';
import { extendSnapshot } from '../lvm/extend-snapshot.js';
import { readPoolFill, readSnapshotFill } from '../lvm/snapshot-fill.js';
import { inBytes } from '../report/quantities.js';
import type { Origin } from './origin.js';
import type { OwnSnapshot } from './own-snapshots.js';
import { extensionBytes } from './store-size.js';

const LOOK_MS = 1000;

/** An origin whose snapshots are watched. */
export interface FillWatch {
  origin: Origin;
  extendAtPercent: number;
  /** Names of its snapshots as they are now; `find` is called when they are others than before. */
  names(): readonly string[];
  find(): Promise<OwnSnapshot[]>;
  /** Told how full the fullest of them is, from 0 to 1; of a thin pool its fuller part. */
  onFill?: ((part: number) => void) | undefined;
  /** Told of a snapshot that cannot be extended. */
  onFillingUp?(): void;
  onSay(line: string): void;
  onWarning(line: string): void;
}

/** Keeps watch while `work` runs. What fails in watching is said, and ends nothing. */
export async function watchingFill<T>(
  watches: readonly FillWatch[],
  work: () => Promise<T>,
): Promise<T> {
  const ending = new AbortController();
  const watching = Promise.all(watches.map((watch) => watchUntil(watch, ending.signal)));
  try {
    return await work();
  } finally {
    ending.abort();
    await watching;
  }
}

type SayOnce = (key: string, line: string) => void;

async function watchUntil(watch: FillWatch, signal: AbortSignal): Promise<void> {
  const said = new Set<string>();
  const sayOnce: SayOnce = (key, line) => {
    if (said.has(key)) return;
    said.add(key);
    watch.onWarning(line);
  };
  let snapshots: OwnSnapshot[] = [];
  while (!signal.aborted) {
    try {
      if (watch.origin.kind === 'thin') await lookAtPool(watch, sayOnce);
      else if (snapshots.map(({ name }) => name).join() !== watch.names().join()) {
        snapshots = await watch.find();
      }
      let fullest = 0;
      for (const snapshot of snapshots) {
        fullest = Math.max(fullest, await look(watch, snapshot, sayOnce));
      }
      if (snapshots.length > 0) watch.onFill?.(fullest);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      sayOnce('watch', `how full the snapshots are cannot be seen: ${reason}`);
    }
    await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** @returns how full the snapshot is, from 0 to 1 */
async function look(
  watch: FillWatch,
  { volume, name }: OwnSnapshot,
  sayOnce: SayOnce,
): Promise<number> {
  const fill = await readSnapshotFill(volume.device);
  if (fill === undefined) return 1; // whoever uses it meets that
  const percent = (100 * fill.usedBytes) / fill.totalBytes;
  if (percent < watch.extendAtPercent) return percent / 100;
  const added = extensionBytes(fill.totalBytes, watch.origin.volume.sizeBytes);
  if (added === 0) return percent / 100;
  try {
    await extendSnapshot(volume, added);
    watch.onSay(`Snapshot ${name} is ${percent.toFixed(0)}% full: extended by ${inBytes(added)}`);
  } catch (error) {
    watch.onFillingUp?.();
    const reason = error instanceof Error ? error.message : String(error);
    sayOnce(
      name,
      `snapshot ${name} is ${percent.toFixed(0)}% full and cannot be extended (${reason}): going on as fast as possible; if it overflows, the whole volume is sent or compared again`,
    );
  }
  return percent / 100;
}

async function lookAtPool(
  { origin, extendAtPercent, onFill }: FillWatch,
  sayOnce: SayOnce,
): Promise<void> {
  const { data, metadata } = await readPoolFill(origin.volume.device);
  onFill?.(Math.max(data, metadata));
  for (const [what, part] of [
    ['data', data],
    ['metadata', metadata],
  ] as const) {
    if (part * 100 < extendAtPercent) continue;
    sayOnce(
      what,
      `the thin pool of the origin is ${(part * 100).toFixed(0)}% full (${what}): extend it (lvextend) before writes fail`,
    );
  }
}
