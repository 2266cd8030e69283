import { nowMs } from '../clock.js';
import {
  type ChangeSource,
  type Engine,
  EXIT,
  type ExitCode,
  LvmsyncError,
  listOffered,
  openNamedSource,
  openSnapshotSource,
  parseDestination,
  type VerifyReport,
  verify,
  verifyPulled,
} from '../index.js';
import { connectTo } from './connect.js';
import { deliveryOptions } from './delivery.js';
import { openEngine } from './engine.js';
import { type Job, usageError } from './job.js';
import { applyHere } from './pull.js';
import { connectToSource, type RemoteSource, remoteSource } from './source-host.js';
import type { VerifyOwnOptions } from './verify-command.js';
import { printRanges, sayVerified } from './verify-report.js';
import { packageVersion } from './version.js';

const MORE_HAS_CHANGED = 'more has changed during the run, which was not compared';

/** `lvmsync verify SOURCE TARGET`. @returns the exit code */
export async function runVerify(job: Job<VerifyOwnOptions>): Promise<ExitCode> {
  const { source: name = '', destination: target = '' } = job;
  const there = remoteSource(job, name, target);
  const engine = openEngine(job);
  const report =
    there === undefined
      ? await verifyFromHere(job, name, target, engine)
      : await verifyFromThere(job, there, engine);
  return report.remaining.totalBytes === 0 ? EXIT.success : EXIT.differencesFound;
}

async function verifyFromHere(
  job: Job<VerifyOwnOptions>,
  name: string,
  target: string,
  engine: Engine,
): Promise<VerifyReport> {
  const { options, reporter } = job;
  const place = parseDestination(target);
  const startedAt = nowMs();
  job.run.watcher.phase('scan');
  const { source: whole, live, mountPoint } = await openNamedSource(name, engine);
  let listed: ChangeSource | undefined;
  try {
    if (mountPoint !== undefined) {
      reporter.warn(
        `${name} is mounted on ${mountPoint}: what is still in memory is not compared, and what is written meanwhile differs or is missed; compare a snapshot of it`,
      );
    }
    listed = await openListed(job, whole, engine);
    const source = listed === undefined ? whole : listedPart(whole, listed);
    const connection = connectTo(job, place, { engine, source });
    try {
      const report = await verify({
        ...deliveryOptions(job, place),
        source,
        engine,
        open: connection.open,
        openVerifier: connection.openVerifier,
        sample: options.sample,
        live,
        repair: options.repair && !options.dryRun,
        onDifferences: (differing) => printRanges(job, differing),
      });
      await recheck(job, listed);
      const milliseconds = nowMs() - startedAt;
      sayVerified(job, { ...source, live }, report, milliseconds);
      return report;
    } finally {
      await connection.close();
    }
  } finally {
    await listed?.close();
    await whole.close();
  }
}

async function openListed(
  { options, reporter, run, signal }: Job<VerifyOwnOptions>,
  whole: ChangeSource,
  engine: Engine,
): Promise<ChangeSource | undefined> {
  if (options.changed === undefined) return undefined;
  const listed = await openSnapshotSource({
    name: options.changed,
    engine,
    stateDirectory: options.stateDir,
    signal,
    onWarning: reporter.warn,
    watcher: run.watcher,
  });
  if (listed.volumeBytes === whole.volumeBytes) return listed;
  await listed.close();
  throw otherVolume(options.changed, listed.volumeBytes, whole.volumeBytes);
}

/** Data of the one, extents of the other. */
function listedPart(whole: ChangeSource, { extents, chunkBytes, id, paths }: ChangeSource) {
  return {
    ...whole,
    id: `${whole.id} ${id}`,
    extents,
    chunkBytes,
    paths: [...whole.paths, ...paths],
  };
}

/** The source as it is on another host, the target as it is on this one. */
async function verifyFromThere(
  job: Job<VerifyOwnOptions>,
  { place, targetPath }: RemoteSource,
  engine: Engine,
): Promise<VerifyReport> {
  const { options, reporter } = job;
  const { changed, sample, repair } = options;
  const host = connectToSource(job, place);
  const startedAt = nowMs();
  try {
    const source = await listOffered(host.ask(place.path, 'whole', engine));
    const listed =
      changed === undefined ? undefined : await listOffered(host.ask(changed, 'changes', engine));
    if (changed !== undefined && listed !== undefined && listed.sizeBytes !== source.sizeBytes) {
      throw otherVolume(changed, listed.sizeBytes, source.sizeBytes);
    }
    const report = await verifyPulled({
      ...host.ask(place.path, 'whole', engine),
      source: { ...source, extents: (listed ?? source).extents },
      version: packageVersion(),
      apply: applyHere(job, targetPath),
      sample,
      repair: repair && !options.dryRun,
      onDifferences: (differing) => printRanges(job, differing),
    });
    if (changed !== undefined) {
      const { listDigest } = await listOffered(host.ask(changed, 'changes', engine));
      if (listDigest !== listed?.listDigest) reporter.warn(MORE_HAS_CHANGED);
    }
    const said = { description: place.path, volumeBytes: source.sizeBytes, live: false };
    sayVerified(job, said, report, nowMs() - startedAt);
    return report;
  } finally {
    await host.close();
  }
}

function otherVolume(changed: string, volumeBytes: number, sourceBytes: number): LvmsyncError {
  return usageError(
    `${changed} is of a volume of ${volumeBytes} bytes, but the source has ${sourceBytes}`,
    'name a snapshot of the source',
  );
}

/** A list that grew meanwhile was the right one when it was read. One that was lost was not. */
async function recheck({ reporter }: Job, listed: ChangeSource | undefined): Promise<void> {
  try {
    await listed?.recheck();
  } catch (error) {
    if (!(error instanceof LvmsyncError) || error.code !== 'SNAPSHOT_CHANGED') throw error;
    reporter.warn(`${MORE_HAS_CHANGED}: ${error.message}`);
  }
}
