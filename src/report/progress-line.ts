/** Progress as one line of text: for a terminal, and for anything else. */
import type { Phase } from '../watcher.js';
import type { Progress } from './progress.js';
import { formatBytes, formatDuration, formatRate } from './units.js';

const DOING: Readonly<Record<Phase, string>> = {
  connect: 'connecting',
  command: 'running a command',
  scan: 'reading the list of changes',
  check: 'checking the target',
  compare: 'comparing',
  send: 'sending',
  flush: 'flushing',
  verify: 'verifying',
  apply: 'applying',
  restore: 'restoring',
};

const MAX_BAR_COLUMNS = 40;
const MIN_BAR_COLUMNS = 8;
/** Of an amount: a line whose parts keep their places is easier on the eye. */
const AMOUNT_COLUMNS = '1.00 MiB'.length;

/** All that is known, such as `round 2, sending: 1.2 GiB of 4.0 GiB (30%), 210 MiB/s, 0:14 left`. */
export function plainLine(progress: Progress): string {
  const parts = [amount(progress), ...speed(progress), ...extras(progress)];
  return `${heading(progress)}${parts
    .filter((part) => part !== '')
    .map(join)
    .join('')}`;
}

function join(part: string, index: number): string {
  return `${index === 0 ? ': ' : ', '}${part}`;
}

/**
 * What fits in so many columns: a bar is the last to come and the first to go, with what was saved
 * before it.
 */
export function barLine(progress: Progress, columns: number): string {
  const needed = [heading(progress), amount(progress, AMOUNT_COLUMNS)]
    .filter((part) => part !== '')
    .join('  ');
  let line = needed;
  for (const part of [...speed(progress, AMOUNT_COLUMNS), ...extras(progress)]) {
    if (line.length + 2 + part.length > columns) break;
    line += `  ${part}`;
  }
  const bar = drawBar(progress, columns - line.length - 2);
  if (bar !== '') line = `${needed}  ${bar}${line.slice(needed.length)}`;
  return line.slice(0, columns);
}

function drawBar({ doneBytes, totalBytes }: Progress, columns: number): string {
  if (totalBytes === undefined || columns < MIN_BAR_COLUMNS) return '';
  const inside = Math.min(columns, MAX_BAR_COLUMNS) - 2;
  const filled = Math.floor(partOf(doneBytes, totalBytes) * inside);
  return `[${'#'.repeat(filled)}${'.'.repeat(inside - filled)}]`;
}

function heading({ stage, phase }: Progress): string {
  return stage === undefined ? DOING[phase] : `${stage}, ${DOING[phase]}`;
}

/** @param columns of each amount, at the least */
function amount({ doneBytes, totalBytes }: Progress, columns = 0): string {
  const done = formatBytes(doneBytes).padStart(columns);
  if (totalBytes === undefined) return doneBytes === 0 ? '' : done;
  const percent = String(percentOf(doneBytes, totalBytes)).padStart(columns === 0 ? 0 : 2);
  return `${done} of ${formatBytes(totalBytes)} (${percent}%)`;
}

function speed({ bytesPerSecond, secondsLeft }: Progress, columns = 0): string[] {
  const parts: string[] = [];
  if (bytesPerSecond > 0) parts.push(formatRate(bytesPerSecond).padStart(columns + '/s'.length));
  if (secondsLeft !== undefined) parts.push(`${formatDuration(secondsLeft)} left`);
  return parts;
}

function extras({ zeroBytes, unchangedBytes, snapshotFill }: Progress): string[] {
  const parts: string[] = [];
  if (zeroBytes > 0) parts.push(`zeroes ${formatBytes(zeroBytes)}`);
  if (unchangedBytes > 0) parts.push(`unchanged ${formatBytes(unchangedBytes)}`);
  if (snapshotFill !== undefined) parts.push(`snapshot ${Math.floor(100 * snapshotFill)}% full`);
  return parts;
}

/** Not 100 before it is all. */
export function percentOf(doneBytes: number, totalBytes: number): number {
  return Math.floor(100 * partOf(doneBytes, totalBytes));
}

function partOf(doneBytes: number, totalBytes: number): number {
  return totalBytes === 0 ? 1 : Math.min(1, doneBytes / totalBytes);
}
