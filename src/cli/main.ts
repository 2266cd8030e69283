import { CommanderError } from 'commander';
import { EXIT, LvmsyncError } from '../index.js';
import { runApply } from './apply.js';
import { collectInOneGo } from './heap.js';
import { type Chosen, helpOf, parseCommandLine } from './program.js';
import { createReporter } from './reporter.js';
import { runSync } from './sync.js';

/**
 * Runs one command line.
 *
 * @param argv the words after the program's name
 * @returns the exit code
 */
export async function main(argv: readonly string[]): Promise<number> {
  collectInOneGo();
  let chosen: Chosen;
  try {
    chosen = parseCommandLine(argv);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.success : EXIT.usage;
    throw error;
  }
  const { command, words, options } = chosen;
  const reporter = createReporter(options);
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => interruption.abort());
  }
  try {
    const [source, destination] = words;
    const isReceiver = options.apply !== undefined || options.server;
    const run = chosen.run ?? (isReceiver ? runApply : runSync);
    const job = { words, source, destination, options, reporter, signal: interruption.signal };
    return (await run(job)) ?? EXIT.success;
  } catch (error) {
    reporter.failure(withHelp(error, command));
    return error instanceof LvmsyncError ? error.exitCode : EXIT.internal;
  }
}

/** A command line that is wrong is told with where the right one is described. */
function withHelp(error: unknown, command: string | undefined): unknown {
  if (!(error instanceof LvmsyncError) || error.code !== 'USAGE') return error;
  const help = `see ${helpOf(command)}`;
  const hint = error.hint === undefined ? help : `${error.hint}; ${help}`;
  return new LvmsyncError('USAGE', error.message, { hint, cause: error.cause });
}
