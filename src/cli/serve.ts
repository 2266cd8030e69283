import { isAbsolute, join } from 'node:path';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import {
  applyStream,
  type EngineChoice,
  EXIT,
  LvmsyncError,
  loadEngine,
  refuseSender,
  standardOutput,
  streamSource,
  verifyTarget,
} from '../index.js';
import { engineLimits } from './engine.js';
import { usageError } from './job.js';
import { createReporter } from './reporter.js';
import { asksForProto4, parseServeRequest, type ServeRequest } from './serve-request.js';
import { packageVersion } from './version.js';

interface ServeOptions {
  target: Map<string, string>;
  snapbackDir?: string;
  allowForce?: true;
  engine: EngineChoice;
}

const DEFAULT_TIMEOUT_SECONDS = 60;
const STDIN_FD = 0;
const SENDER = 'the sender';

/**
 * `lvmsync serve`: a receiver for a forced command in authorized_keys. What the client asked for is
 * in SSH_ORIGINAL_COMMAND; it chooses among what the options here allow.
 *
 * @returns the exit code
 */
export async function runServe(argv: readonly string[]): Promise<number> {
  const program = createServeProgram();
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.success : EXIT.usage;
    throw error;
  }
  const options = program.opts<ServeOptions>();
  const command = process.env.SSH_ORIGINAL_COMMAND;
  let reporter = createReporter({});
  try {
    if (command === undefined) {
      throw usageError(
        'lvmsync serve has no SSH_ORIGINAL_COMMAND',
        'it is for command="..." in authorized_keys: see docs/security.md',
      );
    }
    const request = await understand(command, options, reporter.hushFailure);
    reporter = createReporter(request);
    await serve(request, options, reporter);
    return EXIT.success;
  } catch (error) {
    reporter.failure(error);
    return error instanceof LvmsyncError ? error.exitCode : EXIT.internal;
  }
}

/** The sender is told of a refusal before anything else is done. */
async function understand(
  command: string,
  { target: targets, snapbackDir, allowForce }: ServeOptions,
  onTold: () => void,
): Promise<ServeRequest> {
  try {
    return parseServeRequest(command, {
      targets,
      allowSnapback: snapbackDir !== undefined,
      allowForce: allowForce ?? false,
    });
  } catch (error) {
    const told = await refuseSender(standardOutput(), error);
    if (told && asksForProto4(command)) onTold();
    throw error;
  }
}

async function serve(
  request: ServeRequest,
  { engine: choice, snapbackDir }: ServeOptions,
  reporter: ReturnType<typeof createReporter>,
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
  if (request.verify) return verifyTarget({ ...common, forRepair: request.repair });
  const report = await applyStream({
    ...common,
    ...(snapbackDir !== undefined &&
      snapbackName !== undefined && { snapbackPath: join(snapbackDir, snapbackName) }),
    snapbackFormat: request.snapbackFormat,
    transactional: request.transactional,
  });
  reporter.note(
    `applied ${report.recordCount} records, ${report.writtenBytes} bytes, to ${targetPath}; flushed`,
  );
}

function createServeProgram(): Command {
  return new Command('lvmsync serve')
    .description('Receive for a forced command in authorized_keys: these targets and no others.')
    .addOption(
      new Option('--target <name=path>', 'a target that may be written; may be repeated')
        .argParser(addTarget)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option(
        '--snapback-dir <directory>',
        'where --snapback FILE of a sender is put',
      ).argParser(absolutePath),
    )
    .addOption(new Option('--allow-force', 'let a sender override refusals with --force'))
    .addOption(
      new Option('--engine <engine>', 'what does the block I/O')
        .choices(['auto', 'native', 'js'])
        .default('auto'),
    )
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'FATAL ERROR: ')),
    })
    .exitOverride();
}

function addTarget(text: string, before: Map<string, string> = new Map()): Map<string, string> {
  const [, name, path] = /^([A-Za-z0-9][A-Za-z0-9_.-]*)=(.+)$/s.exec(text) ?? [];
  if (name === undefined || path === undefined || !isAbsolute(path)) {
    throw new InvalidArgumentError('It is NAME=PATH, with an absolute path.');
  }
  if (before.has(name)) throw new InvalidArgumentError(`${name} is there twice.`);
  return new Map(before).set(name, path);
}

function absolutePath(path: string): string {
  if (isAbsolute(path)) return path;
  throw new InvalidArgumentError('It is an absolute path.');
}
