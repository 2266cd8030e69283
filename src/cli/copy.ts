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

/** `lvmsync copy SOURCE TARGET`: every byte of a volume, but for its zeroes. */
export async function runCopy(job: Job): Promise<undefined> {
  const { source: name = '', destination: target = '', options, reporter, run } = job;
  if (options.thinpool !== undefined && !options.create)
    throw usageError('--thinpool needs --create');
  const place = parseDestination(target);
  const engine = openEngine(job);
  const startedAt = performance.now();
  const { source, mountPoint } = await openNamedSource(name, engine);
  let lock: Lock | undefined;
  try {
    lock = await lockSnapshot(source);
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
      const seconds = (performance.now() - startedAt) / 1000;
      const { volumeBytes } = source;
      const { passedBytes: streamBytes } = run.bandwidth;
      const figures = { source: name, destination: target, volumeBytes, report, streamBytes };
      const copied = `Copied ${volumeBytes} bytes in ${seconds.toFixed(2)} seconds, as ${streamBytes} bytes of stream`;
      reporter.summary([...transferLines(figures), copied], transferResult(figures));
    } finally {
      await connection.close();
    }
  } finally {
    await source.close();
    await lock?.release();
  }
}
