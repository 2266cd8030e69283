import {
  LvmsyncError,
  listRuns,
  type Runs,
  runJson,
  setBandwidth,
  takeOverview,
} from '../index.js';
import { type Job, usageError } from './job.js';
import { overviewJson, overviewText } from './overview-report.js';
import { printJson, printText } from './print.js';
import { runsText } from './runs-report.js';
import type { RunSetting, StatusOwnOptions } from './status-command.js';

/** `lvmsync status [RUN]` and `lvmsync status --set bwlimit=RATE [RUN]`. */
export async function runStatus(job: Job<StatusOwnOptions>): Promise<undefined> {
  const { options, source: run } = job;
  const pid = run === undefined ? undefined : parsePid(run);
  if (options.set !== undefined) return printRuns(job, await change(options.set, pid));
  const runs = await listRuns();
  if (pid !== undefined) return printRuns(job, only(runs, pid));
  const overview = await takeOverview(options.stateDir);
  if (options.json) {
    printJson({ version: 1, type: 'status', ...runsJson(runs), ...overviewJson(overview) });
    return;
  }
  const sections = [runsText(runs), overviewText(overview, Date.now() / 1000)];
  const text = sections.filter((section) => section !== '').join('\n');
  printText(text || `Nothing of lvmsync is here, nor in ${overview.stateDirectory}\n`);
}

function printRuns({ options }: Job<StatusOwnOptions>, runs: Runs): undefined {
  if (options.json) printJson({ version: 1, type: 'status', ...runsJson(runs) });
  else printText(runsText(runs));
}

function runsJson({ runs, silent }: Runs): object {
  return { runs: runs.map(runJson), silent };
}

function parsePid(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw usageError(`"${text}" is no run`, 'a run is named by its process id: see lvmsync status');
}

/** @throws LvmsyncError RUN_NOT_FOUND */
function only({ runs, silent }: Runs, pid: number): Runs {
  const found = {
    runs: runs.filter((run) => run.pid === pid),
    silent: silent.filter((each) => each === pid),
  };
  if (found.runs.length + found.silent.length > 0) return found;
  throw new LvmsyncError('RUN_NOT_FOUND', `there is no run in flight with process id ${pid}`, {
    hint: 'lvmsync status shows those that there are',
  });
}

async function change({ bwlimit }: RunSetting, pid: number | undefined): Promise<Runs> {
  const changed = await setBandwidth(pid ?? (await onlyRun()), bwlimit);
  return { runs: [changed], silent: [] };
}

/** @throws LvmsyncError RUN_NOT_FOUND, USAGE */
async function onlyRun(): Promise<number> {
  const { runs } = await listRuns();
  const [first, ...others] = runs;
  if (first === undefined) {
    throw new LvmsyncError('RUN_NOT_FOUND', 'no run is in flight', {
      hint: 'runs of this user on this machine can be changed while they transfer',
    });
  }
  if (others.length === 0) return first.pid;
  const names = runs.map(({ pid, command, source }) => `${pid} (${command} ${source})`).join(', ');
  throw usageError(
    `${runs.length} runs are in flight: ${names}`,
    'say which: lvmsync status --set bwlimit=RATE RUN',
  );
}
