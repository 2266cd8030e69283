/** What has changed since a snapshot, and how full it is: everything that a run would start from. */
import { LvmsyncError } from '../errors.js';
import { type Coverage, createCoverage } from '../extents/coverage.js';
import type { ExtentSource } from '../extents/extents.js';
import { inTurns } from '../extents/turns.js';
import { type Fill, readPoolSpace, readSnapshotFill } from '../lvm/snapshot-fill.js';
import { usedStoreBytes } from '../lvm/store-header.js';
import { findThickSnapshot } from '../lvm/thick-snapshot.js';
import { readPool } from '../lvm/thin-pool.js';
import { findThinSnapshot } from '../lvm/thin-volume.js';
import {
  type ChangeSource,
  openSnapshotSource,
  openStoreSource,
  type SnapshotOptions,
  type StoreOptions,
} from '../send/change-source.js';
import { forecastOverflow } from './forecast.js';

export interface ChangeSurvey {
  kind: 'thick' | 'thin' | 'store';
  /** For people: the snapshot, or the store. */
  name: string;
  /** The later thin snapshot that it was compared with; undefined for the volume as it is. */
  against: string | undefined;
  volumeBytes: number;
  chunkBytes: number;
  changedChunks: number;
  changedBytes: number;
  extentCount: number;
  /** Those of the changed bytes that were discarded: they are not sent. */
  discardedBytes: number;
  /** When the snapshot was taken, in seconds since 1970, where LVM knows. */
  takenAt: number | undefined;
  /** Of the snapshot's store, or of the pool. */
  fill: Fill;
  overflow: Overflow;
  /** It was written to while its list was read: these figures are of a moment before the end. */
  changing: boolean;
  coverage: Coverage;
}

export type Overflow =
  | { kind: 'never' }
  /** Too young, without changes, or not to be told of two snapshots. */
  | { kind: 'unknown' }
  | { kind: 'expected'; seconds: number };

export interface SurveyOptions extends Omit<SnapshotOptions, 'dataPath'> {
  /** A later thin snapshot of the same origin. */
  against?: string | undefined;
}

/**
 * Looks at a snapshot, thick or thin. Nothing is locked: a run may be sending it meanwhile.
 *
 * @throws LvmsyncError USAGE for `against` with a thick snapshot, whose list ends now; and what
 *   `openSnapshotSource` throws
 */
export async function surveySnapshot(options: SurveyOptions): Promise<ChangeSurvey> {
  const { name, against } = options;
  const thin = await findThinSnapshot(name);
  if (thin !== undefined) {
    const pool = await readPool(thin.poolDevice);
    const source = await openSnapshotSource({ ...options, dataPath: against });
    return withSource(source, async (facts) => {
      const fill = await readPoolSpace(pool);
      const takenAt = thin.volume.createdAt;
      const grownBytes = against === undefined ? facts.changedBytes - facts.discardedBytes : 0;
      const overflow = expect(fill, grownBytes, takenAt);
      return { kind: 'thin', ...facts, name: thin.name, against, takenAt, fill, overflow };
    });
  }
  if (against !== undefined) {
    throw new LvmsyncError(
      'USAGE',
      `--against compares two thin snapshots, but ${name} is none: the list of a thick one ends now`,
      { path: name, hint: 'leave --against away' },
    );
  }
  const thick = await findThickSnapshot(name);
  const source = await openSnapshotSource(options);
  return withSource(source, async (facts) => {
    const fill = await readSnapshotFill(thick.device);
    if (fill === undefined) throw filledUp(thick.name, thick.snapshotPath);
    const takenAt = thick.volume?.createdAt;
    const overflow = holdsAll(fill, facts)
      ? ({ kind: 'never' } as const)
      : expect(fill, fill.usedBytes - usedStoreBytes(0, facts.chunkBytes), takenAt);
    return { kind: 'thick', ...facts, name: thick.name, against, takenAt, fill, overflow };
  });
}

/** Looks at an exception store without LVM, whose age nobody knows. @throws as `openStoreSource` */
export async function surveyStore(options: StoreOptions): Promise<ChangeSurvey> {
  const source = await openStoreSource(options);
  return withSource(source, async (facts) => {
    const usedBytes = usedStoreBytes(facts.changedChunks, facts.chunkBytes);
    const fill = { usedBytes, totalBytes: source.store.sizeBytes };
    const overflow: Overflow = { kind: holdsAll(fill, facts) ? 'never' : 'unknown' };
    const name = options.storePath;
    return {
      kind: 'store',
      ...facts,
      name,
      against: undefined,
      takenAt: undefined,
      fill,
      overflow,
    };
  });
}

type SourceFacts = Pick<
  ChangeSurvey,
  | 'volumeBytes'
  | 'chunkBytes'
  | 'changedChunks'
  | 'changedBytes'
  | 'extentCount'
  | 'discardedBytes'
  | 'changing'
  | 'coverage'
>;

async function withSource(
  source: ChangeSource,
  complete: (facts: SourceFacts) => Promise<ChangeSurvey>,
): Promise<ChangeSurvey> {
  try {
    const { volumeBytes, chunkBytes, exceptionCount, extents, discarded } = source;
    const coverage = await coverageOf(extents);
    return await complete({
      volumeBytes,
      chunkBytes,
      changedChunks: exceptionCount,
      changedBytes: extents.totalBytes,
      extentCount: extents.extentCount,
      discardedBytes: discarded?.totalBytes ?? 0,
      changing: await isChanging(source),
      coverage,
    });
  } finally {
    await source.close();
  }
}

async function coverageOf(extents: ExtentSource): Promise<Coverage> {
  const coverage = createCoverage();
  for await (const { count, offsets, lengths } of inTurns(extents.slices())) {
    for (let i = 0; i < count; i++) coverage.add(offsets[i]!, lengths[i]!);
  }
  return coverage;
}

/** More changes mean that the list was right a moment ago; anything else fails. */
async function isChanging(source: ChangeSource): Promise<boolean> {
  try {
    await source.recheck();
    return false;
  } catch (error) {
    if (error instanceof LvmsyncError && error.code === 'SNAPSHOT_CHANGED') return true;
    throw error;
  }
}

/** Whether a store has room for every chunk of its origin. */
function holdsAll({ totalBytes }: Fill, { volumeBytes, chunkBytes }: SourceFacts): boolean {
  return totalBytes >= usedStoreBytes(Math.ceil(volumeBytes / chunkBytes), chunkBytes);
}

function expect(fill: Fill, grownBytes: number, takenAt: number | undefined): Overflow {
  if (takenAt === undefined) return { kind: 'unknown' };
  const seconds = forecastOverflow({ ...fill, grownBytes, seconds: Date.now() / 1000 - takenAt });
  return seconds === undefined ? { kind: 'unknown' } : { kind: 'expected', seconds };
}

function filledUp(name: string, path: string): LvmsyncError {
  return new LvmsyncError('SNAPSHOT_INVALID', `${name} has filled up; changes were lost`, {
    path,
    hint: 'remove it, take a new and larger one (lvcreate -s -L), and copy the whole volume',
  });
}
