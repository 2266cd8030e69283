import { isatty } from 'node:tty';
import {
  type ChangeSource,
  type Engine,
  lockSnapshot,
  offer,
  openNamedSource,
  openSnapshotSource,
  standardOutput,
} from '../index.js';
import { openEngine } from './engine.js';
import { type Job, usageError } from './job.js';
import { packageVersion } from './version.js';

const STDOUT_FD = 1;

/** `lvmsync --send-to-stdio OFFER SOURCE`: started by a receiver at the other end. */
export async function runOffer(job: Job): Promise<undefined> {
  const { source: name, destination, options, reporter, signal } = job;
  const { sendToStdio: offered, compress, skipUnchanged, verifyBase, whole } = options;
  if (offered === undefined || name === undefined || destination !== undefined) {
    throw usageError('--send-to-stdio takes one source');
  }
  if (isatty(STDOUT_FD)) throw usageError('standard output is a terminal, not a receiver');
  const engine = openEngine(job);
  const { bandwidth } = job.run;
  if (options.bwlimit !== undefined) bandwidth.limit(options.bwlimit);
  await offer({
    bandwidth,
    offer: offered,
    openSource: () => (whole ? openWhole(job, name, engine) : openChanges(job, name, engine)),
    input: process.stdin,
    output: standardOutput(),
    engine,
    version: packageVersion(),
    base: whole || verifyBase === false ? 'none' : verifyBase,
    skipUnchanged: whole ? 'never' : wanted(skipUnchanged),
    compress,
    timeoutMs: options.timeout * 1000,
    signal,
    onRefusalSent: reporter.hushFailure,
    onNote: reporter.note,
    onWarning: reporter.warn,
  });
}

function wanted(skipUnchanged: boolean | undefined): 'auto' | 'always' | 'never' {
  if (skipUnchanged === undefined) return 'auto';
  return skipUnchanged ? 'always' : 'never';
}

async function openChanges(
  { options, reporter, signal }: Job,
  name: string,
  engine: Engine,
): Promise<ChangeSource> {
  const source = await openSnapshotSource({
    name,
    dataPath: options.dataSource,
    force: options.force,
    engine,
    stateDirectory: options.stateDir,
    signal,
    onWarning: reporter.warn,
  });
  // A list alone can be had while another run sends it.
  return options.sendToStdio === 'list' ? source : locked(source, engine);
}

async function openWhole(
  { options, reporter }: Job,
  name: string,
  engine: Engine,
): Promise<ChangeSource> {
  const { source, mountPoint } = await openNamedSource(name, engine);
  const isCopied = options.sendToStdio === 'all';
  if (mountPoint !== undefined && (isCopied || options.sendToStdio === 'list')) {
    reporter.warn(
      `${name} is mounted on ${mountPoint}: what is written meanwhile makes a mixture of old and new, or differs; name a snapshot of it`,
    );
  }
  return isCopied ? locked(source, engine) : source;
}

/** One sender for a snapshot. */
async function locked(source: ChangeSource, engine: Engine): Promise<ChangeSource> {
  try {
    const lock = await lockSnapshot(source, engine);
    return { ...source, close: () => source.close().finally(() => lock.release()) };
  } catch (error) {
    await source.close();
    throw error;
  }
}
