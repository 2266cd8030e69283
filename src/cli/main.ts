import { CommanderError } from 'commander';
import { nowMs } from '../clock.js';
import { EXIT, LvmsyncError, reasonOf } from '../index.js';
import { runApply } from './apply.js';
import { createLiveRun, type LiveRun } from './live-run.js';
import { runOffer } from './offer.js';
import { type Chosen, helpOf, parseCommandLine } from './program.js';
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
  const startedAt = nowMs();
  const seconds = () => (nowMs() - startedAt) / 1000;
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => interruption.abort());
  }
  let live: LiveRun | undefined;
  try {
    const [source, destination] = words;
    live = createLiveRun({ command, words, options, screen, reporter });
    const isReceiver = options.apply !== undefined || options.server;
    const runClassic = isReceiver ? runApply : options.sendToStdio ? runOffer : runSync;
    const run = chosen.run ?? runClassic;
    const { signal } = interruption;
    const job = { words, source, destination, options, reporter, run: live, signal };
    const exit = (await run(job)) ?? EXIT.success;
    await live.end();
    reporter.ended({ command, exit, seconds: seconds() });
    return exit;
  } catch (error) {
    await live?.end();
    const failure = withHelp(explained(error), chosen.run && command);
    reporter.failure(failure);
    const exit = failure instanceof LvmsyncError ? failure.exitCode : EXIT.internal;
    reporter.ended({ command, exit, seconds: seconds(), error: failure });
    return exit;
  }
}

/** A command line that is wrong is told with where the right one is described. */
function withHelp(error: unknown, command: string | undefined): unknown {
  if (!(error instanceof LvmsyncError) || error.code !== 'USAGE') return error;
  if (error.hint?.includes('--help')) return error;
  const help = `see ${helpOf(command)}`;
  const hint = error.hint === undefined ? help : `${error.hint}; ${help}`;
  return new LvmsyncError('USAGE', error.message, { hint, cause: error.cause });
}

/** What the system refused where nobody expected it, in words. */
function explained(error: unknown): unknown {
  if (error instanceof LvmsyncError || !(error instanceof Error)) return error;
  if (!('syscall' in error) || !('code' in error)) return error;
  const path = 'path' in error ? String(error.path) : undefined;
  const what = path === undefined ? `${error.syscall} failed` : `cannot ${error.syscall} ${path}`;
  return new LvmsyncError('OPEN_FAILED', `${what}: ${reasonOf(error).words}`, {
    ...(path !== undefined && { path }),
    hint: 'see to what is said, and run the same command again; --debug says more',
    cause: error,
  });
}

/** A script that asked for JSON gets it also when the rest could not be understood. */
function tellUsage(argv: readonly string[], { message }: CommanderError): void {
  if (!argv.includes('--json')) return;
  const error = new LvmsyncError('USAGE', message.replace(/^error: /, ''));
  createReporter({ json: true }).ended({ command: '', exit: EXIT.usage, seconds: 0, error });
}
