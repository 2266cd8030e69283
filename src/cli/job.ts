import { type ExitCode, LvmsyncError } from '../index.js';
import type { LiveRun } from './live-run.js';
import type { CliOptions } from './options.js';
import type { Reporter } from './reporter.js';

/**
 * One command line, parsed but not yet understood.
 *
 * @typeParam Own the options that only this command has
 */
export interface Job<Own extends object = object> {
  /** All arguments, in order. */
  words: readonly string[];
  /** The first two of them. */
  source: string | undefined;
  destination: string | undefined;
  options: CliOptions & Own;
  reporter: Reporter;
  /** Goes into what transfers: `deliveryOptions` does that. */
  run: LiveRun;
  signal: AbortSignal;
}

/** Runs a job. @returns the exit code, where it is not 0 */
export type Run<Own extends object = object> = (job: Job<Own>) => Promise<ExitCode | undefined>;

/** Where there is no hint, `main` names the command's own `--help`. */
export function usageError(message: string, hint?: string): LvmsyncError {
  return new LvmsyncError('USAGE', message, hint === undefined ? {} : { hint });
}
