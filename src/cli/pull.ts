import { nowMs } from '../clock.js';
import {
  type Engine,
  inspectForWriting,
  listOffered,
  type PullReport,
  pull,
  type RunResult,
} from '../index.js';
import { amountFields, describeAmount, sayPlan } from './dry-run.js';
import { openEngine } from './engine.js';
import { type Job, usageError } from './job.js';
import { connectToSource, type RemoteSource, remoteSource } from './source-host.js';
import { packageVersion } from './version.js';

/** `lvmsync pull HOST:SNAPSHOT TARGET`. */
export async function runPull(job: Job): Promise<undefined> {
  const { source = '', destination = '', reporter } = job;
  const ends = remoteSource(job, source, destination);
  if (ends === undefined) {
    throw usageError(
      `"${source}" is on this machine: pull takes [user@]host:snapshot`,
      `for a snapshot of this machine: lvmsync ${source} ${destination}`,
    );
  }
  const engine = openEngine(job);
  const startedAt = nowMs();
  if (job.options.dryRun) return planPull(job, ends, 'changes', engine);
  const report = await pullHere(job, ends, 'changes', engine);
  const { volumeBytes, dataBytes } = report;
  const seconds = (nowMs() - startedAt) / 1000;
  const lines = [`Transferred ${dataBytes} bytes in ${seconds.toFixed(2)} seconds; flushed`];
  if (dataBytes > 0) {
    const times = (volumeBytes / dataBytes).toFixed(2);
    lines.push(`You transferred your changes ${times}x faster than a full dd!`);
  }
  reporter.summary(lines, pullResult(job, report));
}

/** The fields of it in JSON. */
export function pullResult({ source, destination }: Job, report: PullReport): RunResult {
  const { volumeBytes, dataBytes, streamBytes, recordCount: records } = report;
  const ended = { protocol: 4, flushed: true, acknowledged: true };
  return {
    fields: { source, destination, volumeBytes, dataBytes, streamBytes, records, ...ended },
  };
}

/** `--dry-run`: what would be sent, and whether the target here is fit for it. */
export async function planPull(
  job: Job,
  { place, targetPath }: RemoteSource,
  what: 'changes' | 'whole',
  engine: Engine,
): Promise<undefined> {
  const { options } = job;
  const host = connectToSource(job, place);
  try {
    const source = await listOffered(host.ask(place.path, what, engine));
    const { sizeBytes: volumeBytes, extents } = source;
    const create = options.create && { sizeBytes: volumeBytes, thinPool: options.thinpool };
    const { sizeBytes, toBeMade } = await inspectForWriting(
      { ...applyHere(job, targetPath), engine, needBytes: volumeBytes },
      create,
    );
    const amount = { extents, volumeBytes, description: job.source ?? '' };
    const fit = toBeMade ? 'to be made' : 'fit to be written';
    const lines = [describeAmount(amount), `  target: ${targetPath} of ${sizeBytes} bytes, ${fit}`];
    sayPlan(job, lines, {
      ...{ destination: targetPath, ...amountFields(amount), targetBytes: sizeBytes },
    });
  } finally {
    await host.close();
  }
}

/** Brings the changes that a source lists, or all of it, onto a target of this machine. */
export async function pullHere(
  job: Job,
  { place, targetPath }: RemoteSource,
  what: 'changes' | 'whole',
  engine: Engine,
): Promise<PullReport> {
  const { options } = job;
  const host = connectToSource(job, place);
  try {
    return await pull({
      ...host.ask(place.path, what, engine),
      version: packageVersion(),
      apply: applyHere(job, targetPath),
      ...(options.create && { create: { thinPool: options.thinpool } }),
    });
  } finally {
    await host.close();
  }
}

/** What the command line says of writing to a target of this machine. */
export function applyHere({ options, reporter, run }: Job, targetPath: string) {
  return {
    targetPath,
    snapbackPath: options.snapback,
    snapbackFormat: options.snapbackFormat,
    transactional: options.transactional,
    stateDirectory: options.stateDir,
    force: options.force,
    watcher: run.watcher,
    onNote: reporter.note,
    onWarning: reporter.warn,
  };
}
