import { takeOverview } from '../index.js';
import type { Job } from './job.js';
import { overviewJson, overviewText } from './overview-report.js';
import { printJson, printText } from './print.js';
import type { StatusOwnOptions } from './status-command.js';

/** `lvmsync status`. */
export async function runStatus({ options }: Job<StatusOwnOptions>): Promise<undefined> {
  const overview = await takeOverview(options.stateDir);
  if (options.json) {
    printJson({ version: 1, type: 'status', ...overviewJson(overview) });
    return;
  }
  const text = overviewText(overview, Date.now() / 1000);
  printText(text || `Nothing of lvmsync is here, nor in ${overview.stateDirectory}\n`);
}
