import { type Engine, type PullReport, pull } from '../index.js';
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
  const startedAt = performance.now();
  const { volumeBytes, dataBytes } = await pullHere(job, ends, 'changes', engine);
  const seconds = (performance.now() - startedAt) / 1000;
  reporter.say(`Transferred ${dataBytes} bytes in ${seconds.toFixed(2)} seconds; flushed`);
  if (dataBytes > 0) {
    const times = volumeBytes / dataBytes;
    reporter.say(`You transferred your changes ${times.toFixed(2)}x faster than a full dd!`);
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
export function applyHere({ options, reporter }: Job, targetPath: string) {
  return {
    targetPath,
    snapbackPath: options.snapback,
    snapbackFormat: options.snapbackFormat,
    transactional: options.transactional,
    stateDirectory: options.stateDir,
    force: options.force,
    onNote: reporter.note,
    onWarning: reporter.warn,
  };
}
