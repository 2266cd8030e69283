import { isatty } from 'node:tty';
import { nowMs } from '../clock.js';
import {
  type BaseCheck,
  type ChangeSource,
  deliver,
  type Engine,
  type Lock,
  lockSnapshot,
  openSnapshotSource,
  openStoreSource,
  parseDestination,
  type SendReport,
  send,
  standardOutput,
  type TransferFigures,
  transferLines,
  transferResult,
  writeTransfer,
} from '../index.js';
import { connectTo } from './connect.js';
import { deliveryOptions } from './delivery.js';
import { amountFields, describeAmount, planDelivery, sayPlan } from './dry-run.js';
import { openEngine } from './engine.js';
import { type Job, usageError } from './job.js';
import { replicaRun } from './replica-words.js';
import { packageVersion } from './version.js';

const STDOUT_FD = 1;

/** `lvmsync SNAPSHOT DESTINATION` and `lvmsync SNAPSHOT --stdout`: the sending half. */
export async function runSync(job: Job): Promise<undefined> {
  const { reporter, run } = job;
  const words = positionals(job);
  const engine = openEngine(job);
  const startedAt = nowMs();
  run.watcher.phase('scan');
  const source = await openSource(job, words.source, engine);
  let lock: Lock | undefined;
  try {
    lock = await lockSnapshot(source, engine);
    reporter.note(
      `${source.description}: ${source.exceptionCount} changed chunks of ${source.chunkBytes} bytes, in ${source.extents.extentCount} extents, ${source.extents.totalBytes} bytes`,
    );
    if (job.options.dryRun) return await planOnly(job, source, engine, words.destination);
    const report =
      words.destination === undefined
        ? await toStandardOutput(job, source, engine)
        : await toDestination(job, source, engine, words.destination);
    const seconds = (nowMs() - startedAt) / 1000;
    const figures = {
      ...{ source: words.source ?? source.description, destination: words.destination, report },
      ...{ volumeBytes: source.volumeBytes, streamBytes: run.bandwidth.passedBytes },
    };
    reporter.summary(classicLines(figures, seconds), transferResult(figures));
  } finally {
    await source.close();
    await lock?.release();
  }
}

/** The last two are as the original has them: scripts read them. */
function classicLines(figures: TransferFigures, seconds: number): string[] {
  const { dataBytes } = figures.report;
  const lines = transferLines(figures);
  lines.push(`Transferred ${dataBytes} bytes in ${seconds.toFixed(2)} seconds`);
  if (dataBytes > 0) {
    const times = figures.volumeBytes / dataBytes;
    lines.push(`You transferred your changes ${times.toFixed(2)}x faster than a full dd!`);
  }
  return lines;
}

interface Words {
  /** The snapshot; undefined with `--cow-device`. */
  source: string | undefined;
  /** Undefined with `--stdout`. */
  destination: string | undefined;
}

function positionals({ words: given, options }: Job): Words {
  const words = [...given];
  const snapshot = options.cowDevice === undefined ? words.shift() : undefined;
  if (options.cowDevice !== undefined && options.dataSource === undefined) {
    throw usageError('--cow-device needs --data-source: the origin to read the data from');
  }
  if (options.hold || replicaRun(options) !== undefined) {
    throw usageError('--keep and --hold are for a receiver', 'see lvmsync replicate --help');
  }
  if (options.transactional && options.protocol === 3) {
    throw usageError('--transactional needs PROTO[4]', 'leave --protocol 3 away');
  }
  if (options.skipUnchanged && (options.stdout || options.protocol === 3)) {
    throw usageError('--skip-unchanged needs a receiver that can be asked what it holds');
  }
  if (options.cowDevice === undefined && snapshot === undefined) {
    throw usageError('no snapshot given', 'try: lvmsync SNAPSHOT [[user@]host:]TARGET');
  }
  const target = words.shift();
  if (options.stdout && target !== undefined) {
    throw usageError(`--stdout takes no destination, but "${target}" is given`);
  }
  if (!options.stdout && target === undefined) {
    throw usageError('no destination given', 'name a [[user@]host:]TARGET, or use --stdout');
  }
  if (words.length > 0) throw usageError(`one word too many: "${words[0]}"`);
  return { source: snapshot, destination: target };
}

function openSource(job: Job, name: string | undefined, engine: Engine): Promise<ChangeSource> {
  const { cowDevice, dataSource, force, stateDir } = job.options;
  if (name !== undefined) {
    return openSnapshotSource({
      name,
      dataPath: dataSource,
      force,
      engine,
      stateDirectory: stateDir,
      signal: job.signal,
      onWarning: job.reporter.warn,
      watcher: job.run.watcher,
    });
  }
  return openStoreSource({ storePath: cowDevice ?? '', dataPath: dataSource ?? '', engine });
}

async function planOnly(
  job: Job,
  source: ChangeSource,
  engine: Engine,
  destination: string | undefined,
): Promise<undefined> {
  if (destination === undefined) {
    sayPlan(job, [describeAmount(source)], amountFields(source));
    return;
  }
  const place = parseDestination(destination);
  const base = baseCheck(job);
  await planDelivery(job, { source, engine, base, destination, place });
}

function baseCheck({ options: { verifyBase } }: Job): BaseCheck {
  return verifyBase === false ? 'none' : verifyBase;
}

async function toStandardOutput(
  { options, run, signal }: Job,
  source: ChangeSource,
  engine: Engine,
): Promise<SendReport> {
  const { bandwidth, watcher } = run;
  if (isatty(STDOUT_FD)) {
    throw usageError('standard output is a terminal', 'redirect it to a file or into a pipe');
  }
  const output = standardOutput();
  const report =
    options.protocol === 4
      ? await writeTransfer(output, {
          source,
          engine,
          version: packageVersion(),
          compress: options.compress,
          ...{ signal, bandwidth, watcher },
        })
      : await send({
          ...{ extents: source.extents, source: source.data, engine, output },
          ...{ signal, bandwidth, watcher },
        });
  await source.recheck();
  return report;
}

async function toDestination(
  job: Job,
  source: ChangeSource,
  engine: Engine,
  destination: string,
): Promise<SendReport> {
  const { options } = job;
  const place = parseDestination(destination);
  const connection = connectTo(job, place, { engine, source });
  try {
    return await deliver({
      ...deliveryOptions(job, place),
      source,
      engine,
      open: connection.open,
      protocol: options.protocol,
      base: baseCheck(job),
    });
  } finally {
    await connection.close();
  }
}
