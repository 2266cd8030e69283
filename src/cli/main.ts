import { CommanderError } from 'commander';
import { EXIT, LvmsyncError } from '../index.js';
import { runApply } from './apply.js';
import { collectInOneGo } from './heap.js';
import { createLiveRun, type LiveRun } from './live-run.js';
import { type Chosen, parseCommandLine } from './program.js';
import { createReporter } from './reporter.js';
import { createScreen } from './screen.js';
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
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return EXIT.success;
    tellUsage(argv, error);
    return EXIT.usage;
  }
  const { command, words, options } = chosen;
  const screen = createScreen();
  const reporter = createReporter(options, screen);
  const startedAt = performance.now();
  const seconds = () => (performance.now() - startedAt) / 1000;
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => interruption.abort());
  }
  let live: LiveRun | undefined;
  try {
    const [source, destination] = words;
    live = createLiveRun({ command, words, options, screen, reporter });
    const isReceiver = options.apply !== undefined || options.server;
    const run = chosen.run ?? (isReceiver ? runApply : runSync);
    const { signal } = interruption;
    const job = { words, source, destination, options, reporter, run: live, signal };
    const exit = (await run(job)) ?? EXIT.success;
    await live.end();
    reporter.ended({ command, exit, seconds: seconds() });
    return exit;
  } catch (error) {
    await live?.end();
    reporter.failure(error);
    const exit = error instanceof LvmsyncError ? error.exitCode : EXIT.internal;
    reporter.ended({ command, exit, seconds: seconds(), error });
    return exit;
  }
}

/** A script that asked for JSON gets it also when the rest could not be understood. */
function tellUsage(argv: readonly string[], { message }: CommanderError): void {
  if (!argv.includes('--json')) return;
  const error = new LvmsyncError('USAGE', message.replace(/^error: /, ''));
  createReporter({ json: true }).ended({ command: '', exit: EXIT.usage, seconds: 0, error });
}
