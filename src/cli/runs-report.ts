import { formatRate, plainLine, type RunStatus, type Runs } from '../index.js';

/** What `lvmsync status` says of the runs in flight; empty when there are none. */
export function runsText({ runs, silent }: Runs): string {
  const lines = runs.flatMap(linesOf);
  for (const pid of silent) lines.push(`${pid}: does not answer (stopped, or of another version)`);
  if (lines.length === 0) return '';
  return `Runs in flight:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

function linesOf(run: RunStatus): string[] {
  const { pid, command, source, destination, startedAt, bandwidthLimit, progress } = run;
  const where = destination === '' ? source : `${source} to ${destination}`;
  const limit = bandwidthLimit === 0 ? '' : `, limited to ${formatRate(bandwidthLimit)}`;
  const since = new Date(startedAt * 1000).toISOString().replace('.000Z', 'Z');
  return [`${pid}: ${command} ${where}, since ${since}${limit}`, `  ${plainLine(progress)}`];
}
