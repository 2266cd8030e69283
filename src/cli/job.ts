import { LvmsyncError } from '../index.js';
import type { CliOptions } from './options.js';
import type { Reporter } from './reporter.js';

/** One command line, parsed but not yet understood. */
export interface Job {
  source: string | undefined;
  destination: string | undefined;
  options: CliOptions;
  reporter: Reporter;
  signal: AbortSignal;
}

export function usageError(message: string, hint = 'see lvmsync --help'): LvmsyncError {
  return new LvmsyncError('USAGE', message, { hint });
}
