import {
  deliver,
  type Engine,
  type Lock,
  lockSnapshot,
  openNamedSource,
  parseDestination,
} from '../index.js';
import { connectTo } from './connect.js';
import { deliveryOptions } from './delivery.js';
import { openEngine } from './engine.js';
import { type Job, usageError } from './job.js';
import { pullHere } from './pull.js';
import { remoteSource } from './source-host.js';

/** `lvmsync copy SOURCE TARGET`, one of which may be on another host: every byte of a volume, but for its zeroes. */
export async function runCopy(job: Job): Promise<undefined> {
  const { source: name = '', destination: target = '', options, reporter } = job;
  if (options.thinpool !== undefined && !options.create)
    throw usageError('--thinpool needs --create');
  const pulled = remoteSource(job, name, target);
  const engine = openEngine(job);
  const startedAt = performance.now();
  const { volumeBytes, streamBytes } =
    pulled === undefined
      ? await copyFromHere(job, name, target, engine)
      : await pullHere(job, pulled, 'whole', engine);
  const seconds = (performance.now() - startedAt) / 1000;
  reporter.say(
    `Copied ${volumeBytes} bytes in ${seconds.toFixed(2)} seconds, as ${streamBytes} bytes of stream`,
  );
}

async function copyFromHere(
  job: Job,
  name: string,
  target: string,
  engine: Engine,
): Promise<{ volumeBytes: number; streamBytes: number }> {
  const { reporter } = job;
  const place = parseDestination(target);
  const { source, mountPoint } = await openNamedSource(name, engine);
  let lock: Lock | undefined;
  try {
    lock = await lockSnapshot(source);
    if (mountPoint !== undefined) {
      reporter.warn(
        `${name} is mounted on ${mountPoint}: what is written during the copy makes it a mixture of old and new; copy a snapshot of it`,
      );
    }
    const connection = connectTo(job, place, { engine, source });
    try {
      const { streamBytes } = await deliver({
        ...deliveryOptions(job, place),
        source,
        engine,
        open: connection.open,
        protocol: 4,
        base: 'none',
        skipUnchanged: 'never',
      });
      return { volumeBytes: source.volumeBytes, streamBytes };
    } finally {
      await connection.close();
    }
  } finally {
    await source.close();
    await lock?.release();
  }
}
