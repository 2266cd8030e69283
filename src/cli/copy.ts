import { nowMs } from '../clock.js';
import {
  deliver,
  type Lock,
  lockSnapshot,
  openNamedSource,
  parseDestination,
  transferLines,
  transferResult,
} from '../index.js';
import { connectTo } from './connect.js';
import { deliveryOptions } from './delivery.js';
import { planDelivery } from './dry-run.js';
import { openEngine } from './engine.js';
import { type Job, usageError } from './job.js';
import { planPull, pullHere, pullResult } from './pull.js';
import { remoteSource } from './source-host.js';

/** `lvmsync copy SOURCE TARGET`: every byte of a volume, but for its zeroes. Either may be elsewhere. */
export async function runCopy(job: Job): Promise<undefined> {
  const { source: name = '', destination: target = '', options } = job;
  if (options.thinpool !== undefined && !options.create)
    throw usageError('--thinpool needs --create');
  const there = remoteSource(job, name, target);
  if (there === undefined) return copyFromHere(job, name, target);
  const engine = openEngine(job);
  const startedAt = nowMs();
  if (options.dryRun) return planPull(job, there, 'whole', engine);
  const report = await pullHere(job, there, 'whole', engine);
  const seconds = (nowMs() - startedAt) / 1000;
  const { volumeBytes, streamBytes } = report;
  job.reporter.summary([copiedLine(volumeBytes, seconds, streamBytes)], pullResult(job, report));
}

function copiedLine(volumeBytes: number, seconds: number, streamBytes: number): string {
  return `Copied ${volumeBytes} bytes in ${seconds.toFixed(2)} seconds, as ${streamBytes} bytes of stream`;
}

async function copyFromHere(job: Job, name: string, target: string): Promise<undefined> {
  const { options, reporter, run } = job;
  const place = parseDestination(target);
  const engine = openEngine(job);
  const startedAt = nowMs();
  const { source, mountPoint } = await openNamedSource(name, engine);
  let lock: Lock | undefined;
  try {
    lock = await lockSnapshot(source, engine);
    if (mountPoint !== undefined) {
      reporter.warn(
        `${name} is mounted on ${mountPoint}: what is written during the copy makes it a mixture of old and new; copy a snapshot of it`,
      );
    }
    if (options.dryRun) {
      await planDelivery(job, { source, engine, base: 'none', destination: target, place });
      return;
    }
    const connection = connectTo(job, place, { engine, source });
    try {
      const report = await deliver({
        ...deliveryOptions(job, place),
        source,
        engine,
        open: connection.open,
        protocol: 4,
        base: 'none',
        skipUnchanged: 'never',
      });
      const seconds = (nowMs() - startedAt) / 1000;
      const { volumeBytes } = source;
      const { passedBytes: streamBytes } = run.bandwidth;
      const figures = { source: name, destination: target, volumeBytes, report, streamBytes };
      const copied = copiedLine(volumeBytes, seconds, streamBytes);
      reporter.summary([...transferLines(figures), copied], transferResult(figures));
    } finally {
      await connection.close();
    }
  } finally {
    await source.close();
    await lock?.release();
  }
}
