import { isatty } from 'node:tty';
import {
  applyStream,
  type ByteSource,
  checkStream,
  type Engine,
  type LinkPolicy,
  LvmsyncError,
  type NewVolume,
  openFileSource,
  standardOutput,
  streamSource,
  verifyTarget,
  withEachRead,
} from '../index.js';
import { sayPlan } from './dry-run.js';
import { openEngine } from './engine.js';
import { type Job, usageError } from './job.js';
import type { CliOptions } from './options.js';
import { replicaRun } from './replica-words.js';
import { packageVersion } from './version.js';

const STDIN_FD = 0;

/** `lvmsync --apply FILE TARGET`: the receiving half. */
export async function runApply(job: Job): Promise<undefined> {
  const { source: targetPath, destination, options, reporter, run } = job;
  if (targetPath === undefined) throw usageError('--apply needs a target to apply the stream to');
  if (destination !== undefined) {
    throw usageError(`--apply takes one target, but "${destination}" follows "${targetPath}"`);
  }
  const engine = openEngine(job);
  const file = options.server ? '-' : (options.apply ?? '-');
  const answers = options.protocol === 4 && file === '-';
  if (answers && options.json) {
    throw usageError('--json needs standard output, where the answers to the sender go');
  }
  if (options.bwlimit !== undefined) {
    throw usageError('--bwlimit is for what sends, and --apply receives');
  }
  run.name(file, targetPath);
  const input = await openInput(file, engine, job.signal);
  if (options.answerChecks) return answerChecks(job, targetPath, engine, input);
  try {
    if (options.dryRun) return await checkOnly(job, targetPath, engine, input);
    const report = await applyStream({
      input,
      targetPath,
      engine,
      snapbackPath: options.snapback,
      snapbackFormat: options.snapbackFormat,
      transactional: options.transactional,
      hold: options.hold,
      replica: replicaRun(options),
      stateDirectory: options.stateDir,
      force: options.force,
      create: newVolume(options),
      onNote: reporter.note,
      onWarning: reporter.warn,
      onRefusalSent: reporter.hushFailure,
      // Only a sender that asked for PROTO[4] listens.
      ...(answers && { answers: standardOutput() }),
      watcher: run.watcher,
      version: packageVersion(),
      timeoutMs: options.timeout * 1000,
      links: linkPolicy(process.env),
    });
    reporter.note(
      `applied ${report.recordCount} records, ${report.writtenBytes} bytes, to ${targetPath}; flushed`,
    );
    const { recordCount: records, writtenBytes } = report;
    reporter.summary([], {
      fields: { source: file, destination: targetPath, records, writtenBytes, flushed: true },
    });
  } finally {
    await input.close?.();
  }
}

async function checkOnly(
  job: Job,
  targetPath: string,
  engine: Engine,
  input: ByteSource,
): Promise<undefined> {
  const { options, reporter } = job;
  const { recordCount, writtenBytes } = await checkStream({
    input,
    targetPath,
    engine,
    force: options.force,
    stateDirectory: options.stateDir,
    onWarning: reporter.warn,
  });
  const plan = `Would write ${writtenBytes} bytes (${recordCount} records) to ${targetPath}; the stream is whole`;
  sayPlan(job, [plan], {
    ...{ destination: targetPath, plannedBytes: writtenBytes, records: recordCount },
  });
}

/** `--create-bytes`: started by `lvmsync copy --create` at the other end. */
function newVolume({ createBytes, createThinpool }: CliOptions): NewVolume | undefined {
  if (createBytes === undefined) return undefined;
  return { sizeBytes: createBytes, thinPool: createThinpool };
}

/** `--answer-checks`: started by `lvmsync verify` at the other end. */
async function answerChecks(
  { options, reporter }: Job,
  targetPath: string,
  engine: Engine,
  input: ByteSource,
): Promise<undefined> {
  if (options.protocol !== 4)
    throw usageError('--answer-checks is for a receiver that speaks PROTO[4]');
  await verifyTarget({
    input,
    answers: standardOutput(),
    targetPath,
    engine,
    forRepair: options.repair,
    create: newVolume(options),
    force: options.force,
    stateDirectory: options.stateDir,
    version: packageVersion(),
    timeoutMs: options.timeout * 1000,
    onWarning: reporter.warn,
    onRefusalSent: reporter.hushFailure,
  });
}

/** Who comes in through sshd, and where: sshd(8) and sudo(8) say so in the environment. */
function linkPolicy({ SSH_CONNECTION, SUDO_UID }: NodeJS.ProcessEnv): LinkPolicy {
  const tlsHost = SSH_CONNECTION?.split(' ')[2];
  const owner = process.getuid?.() === 0 && SUDO_UID !== undefined ? Number(SUDO_UID) : undefined;
  return { tlsHost, ...(Number.isInteger(owner) && { owner }) };
}

interface Input extends ByteSource {
  rewind?(): void;
  readonly path?: string;
  close?(): Promise<void>;
}

async function openInput(path: string, engine: Engine, signal: AbortSignal): Promise<Input> {
  if (path !== '-') {
    const file = await openFileSource(path);
    return { ...file, ...untilAborted(file, signal) };
  }
  if (isatty(STDIN_FD)) {
    throw usageError('standard input is a terminal, not a stream', 'pipe a stream into it');
  }
  const name = 'standard input';
  const input = engine.readInput?.(STDIN_FD, name) ?? streamSource(process.stdin, name);
  return untilAborted(input, signal);
}

/** The source, until the signal: also a read that is waiting fails then. */
function untilAborted(source: ByteSource, signal: AbortSignal): ByteSource {
  return withEachRead(
    source,
    (read) =>
      new Promise((resolve, reject) => {
        const abort = () => reject(interrupted());
        if (signal.aborted) return abort();
        signal.addEventListener('abort', abort, { once: true });
        read()
          .then(resolve, reject)
          .finally(() => signal.removeEventListener('abort', abort));
      }),
  );
}

function interrupted(): LvmsyncError {
  return new LvmsyncError('INTERRUPTED', 'interrupted before all changes were applied', {
    hint: 'the target is incomplete until the same command has been run again to its end',
  });
}
