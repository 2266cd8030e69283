import { CommanderError } from 'commander';
import { EXIT, LvmsyncError } from '../index.js';
import { runApply } from './apply.js';
import { runCopy } from './copy.js';
import { collectInOneGo } from './heap.js';
import { runMigrate } from './migrate.js';
import { type Chosen, parseCommandLine } from './program.js';
import { createReporter } from './reporter.js';
import { runRollback } from './rollback.js';
import { runServe } from './serve.js';
import { runSync } from './sync.js';
import { runVerify } from './verify.js';

/**
 * Runs one command line.
 *
 * @param argv the words after the program's name
 * @returns the exit code
 */
export async function main(argv: readonly string[]): Promise<number> {
  collectInOneGo();
  if (argv[0] === 'serve') return runServe(argv.slice(1));
  let chosen: Chosen;
  try {
    chosen = parseCommandLine(argv);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.success : EXIT.usage;
    throw error;
  }
  const { command, options } = chosen;
  const reporter = createReporter(options);
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => interruption.abort());
  }
  try {
    const [source, destination] = chosen.words;
    const isReceiver = options.apply !== undefined || options.server;
    const runClassic = isReceiver ? runApply : runSync;
    const commands = {
      rollback: runRollback,
      copy: runCopy,
      migrate: runMigrate,
      verify: runVerify,
    };
    const run = { ...commands, classic: runClassic }[command];
    const job = { source, destination, options, reporter, signal: interruption.signal };
    return (await run(job)) ?? EXIT.success;
  } catch (error) {
    reporter.failure(error);
    return error instanceof LvmsyncError ? error.exitCode : EXIT.internal;
  }
}
