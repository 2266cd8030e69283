import {
  formatRate,
  LvmsyncError,
  listRuns,
  plainLine,
  type RunStatus,
  type Runs,
  runJson,
  setBandwidth,
} from '../index.js';
import { type Job, usageError } from './job.js';
import type { RunSetting, StatusOwnOptions } from './status-command.js';

/** One part of what `lvmsync status` has to show: for people, and for scripts. */
export interface StatusPart {
  lines: string[];
  fields: Record<string, unknown>;
}

/** `lvmsync status [RUN]` and `lvmsync status --set bwlimit=RATE [RUN]`. */
export async function runStatus(job: Job<StatusOwnOptions>): Promise<undefined> {
  const { options, reporter, source: run } = job;
  const pid = run === undefined ? undefined : parsePid(run);
  const parts = [
    options.set === undefined ? await showRuns(pid) : await changeRun(options.set, pid),
  ];
  reporter.summary([], { fields: Object.assign({}, ...parts.map(({ fields }) => fields)) });
  if (options.json) return;
  for (const { lines } of parts) reporter.output(lines.map((line) => `${line}\n`).join(''));
}

function parsePid(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw usageError(`"${text}" is no run`, 'a run is named by its process id: see lvmsync status');
}

async function showRuns(pid: number | undefined): Promise<StatusPart> {
  const all = await listRuns();
  const runs = all.runs.filter((run) => pid === undefined || run.pid === pid);
  const silent = all.silent.filter((each) => pid === undefined || each === pid);
  if (pid !== undefined && runs.length + silent.length === 0) throw noSuchRun(pid);
  return part({ runs, silent });
}

async function changeRun({ bwlimit }: RunSetting, pid: number | undefined): Promise<StatusPart> {
  const changed = await setBandwidth(pid ?? (await onlyRun()), bwlimit);
  return part({ runs: [changed], silent: [] });
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

function noSuchRun(pid: number): LvmsyncError {
  return new LvmsyncError('RUN_NOT_FOUND', `there is no run in flight with process id ${pid}`, {
    hint: 'lvmsync status shows those that there are',
  });
}

function part({ runs, silent }: Runs): StatusPart {
  const lines = runs.flatMap(describeRun);
  for (const pid of silent) lines.push(`${pid}: does not answer (stopped, or another version)`);
  if (lines.length === 0) lines.push('No runs in flight');
  return { lines, fields: { runs: runs.map(runJson), silent } };
}

function describeRun(run: RunStatus): string[] {
  const { pid, command, source, destination, startedAt, bandwidthLimit, progress } = run;
  const where = destination === '' ? source : `${source} to ${destination}`;
  const limit = bandwidthLimit === 0 ? '' : `, limited to ${formatRate(bandwidthLimit)}`;
  const since = new Date(startedAt * 1000).toISOString().replace('.000Z', 'Z');
  return [`${pid}: ${command} ${where}, since ${since}${limit}`, `  ${plainLine(progress)}`];
}
