import { join } from 'node:path';
import {
  applyStream,
  EXIT,
  type ExitCode,
  LvmsyncError,
  loadEngine,
  type RunWatcher,
  refuseSender,
  standardOutput,
  streamSource,
  verifyTarget,
} from '../index.js';
import { engineLimits } from './engine.js';
import { type Job, usageError } from './job.js';
import { runOffer } from './offer.js';
import {
  isOfferRequest,
  type OfferPolicy,
  type OfferRequest,
  parseOfferRequest,
} from './offer-request.js';
import { replicaRun } from './replica-words.js';
import { createReporter, type Reporter } from './reporter.js';
import type { ServeOptions } from './serve-command.js';
import {
  asksForProto4,
  parseServeRequest,
  type ServePolicy,
  type ServeRequest,
} from './serve-request.js';
import { packageVersion } from './version.js';

const DEFAULT_TIMEOUT_SECONDS = 60;
const STDIN_FD = 0;
const SENDER = 'the sender';

/**
 * `lvmsync serve`: a receiver, or a sender on request, for a forced command in authorized_keys.
 * What the client asked for is in SSH_ORIGINAL_COMMAND; it chooses among what the options here
 * allow.
 *
 * @returns the exit code
 */
export async function runServe(job: Job<ServeOptions>): Promise<ExitCode> {
  const { options } = job;
  const command = process.env.SSH_ORIGINAL_COMMAND;
  let reporter = createReporter({});
  try {
    if (options.target === undefined && options.source === undefined) {
      throw usageError('lvmsync serve needs --target or --source: what it serves');
    }
    if (command === undefined) {
      throw usageError(
        'lvmsync serve has no SSH_ORIGINAL_COMMAND',
        'it is for command="..." in authorized_keys: see docs/security.md',
      );
    }
    if (isOfferRequest(command)) {
      const request = await understand(command, reporter.hushFailure, () =>
        parseOfferRequest(command, offerPolicy(options)),
      );
      reporter = createReporter(request.options);
      await sendWhatIsAsked(job, request, reporter);
      return EXIT.success;
    }
    const request = await understand(command, reporter.hushFailure, () =>
      parseServeRequest(command, servePolicy(options)),
    );
    reporter = createReporter(request);
    job.run.name('-', request.targetPath);
    await serve(request, options, reporter, job.run.watcher);
    return EXIT.success;
  } catch (error) {
    reporter.failure(error);
    return error instanceof LvmsyncError ? error.exitCode : EXIT.internal;
  }
}

function servePolicy({ target, snapbackDir, allowForce }: ServeOptions): ServePolicy {
  return {
    targets: target ?? new Map(),
    allowSnapback: snapbackDir !== undefined,
    allowForce: allowForce ?? false,
  };
}

function offerPolicy({ source, allowForce }: ServeOptions): OfferPolicy {
  return { sources: source ?? new Map(), allowForce: allowForce ?? false };
}

async function sendWhatIsAsked(
  job: Job<ServeOptions>,
  { options, sourcePath }: OfferRequest,
  reporter: Reporter,
): Promise<void> {
  const all = { ...job.options, ...options };
  await runOffer({ ...job, source: sourcePath, destination: undefined, options: all, reporter });
}

/** The other end is told of a refusal before anything else is done. */
async function understand<T>(command: string, onTold: () => void, parse: () => T): Promise<T> {
  try {
    return parse();
  } catch (error) {
    const told = await refuseSender(standardOutput(), error);
    if (told && asksForProto4(command)) onTold();
    throw error;
  }
}

async function serve(
  request: ServeRequest,
  { engine: choice, snapbackDir }: Job<ServeOptions>['options'],
  reporter: Reporter,
  watcher: RunWatcher,
): Promise<void> {
  const { targetPath, snapbackName, timeout = DEFAULT_TIMEOUT_SECONDS, force } = request;
  const { engine } = loadEngine(choice, engineLimits(request));
  const common = {
    input: engine.readInput?.(STDIN_FD, SENDER) ?? streamSource(process.stdin, SENDER),
    targetPath,
    engine,
    answers: standardOutput(),
    version: packageVersion(),
    timeoutMs: timeout * 1000,
    force,
    onWarning: reporter.warn,
    onRefusalSent: reporter.hushFailure,
  };
  if (request.answerChecks) return verifyTarget({ ...common, forRepair: request.repair });
  const report = await applyStream({
    ...common,
    ...(snapbackDir !== undefined &&
      snapbackName !== undefined && { snapbackPath: join(snapbackDir, snapbackName) }),
    snapbackFormat: request.snapbackFormat,
    transactional: request.transactional,
    watcher,
    hold: request.hold,
    replica: replicaRun(request),
  });
  reporter.note(
    `applied ${report.recordCount} records, ${report.writtenBytes} bytes, to ${targetPath}; flushed`,
  );
}
