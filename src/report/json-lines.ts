/** What scripts read, as docs/json.md has it. */
import type { Progress } from './progress.js';
import { percentOf } from './progress-line.js';
import type { RunStatus } from './run-status.js';

/** Of everything in JSON; a new one when something is taken away or gets another meaning. */
export const JSON_VERSION = 1;

/** One line of `--progress json`, without its line end. */
export function progressJson(progress: Progress): string {
  return JSON.stringify({ version: JSON_VERSION, type: 'progress', ...progressFields(progress) });
}

/** A run in flight as `lvmsync status --json` shows it. */
export function runJson({ progress, ...run }: RunStatus): Record<string, unknown> {
  return { ...run, progress: progressFields(progress) };
}

function progressFields(progress: Progress): Record<string, unknown> {
  const { totalBytes, doneBytes, secondsLeft, snapshotFill } = progress;
  return {
    stage: progress.stage,
    phase: progress.phase,
    doneBytes,
    totalBytes,
    percent: totalBytes === undefined ? undefined : percentOf(doneBytes, totalBytes),
    bytesPerSecond: Math.round(progress.bytesPerSecond),
    secondsLeft: secondsLeft === undefined ? undefined : Math.round(secondsLeft),
    zeroBytes: progress.zeroBytes,
    unchangedBytes: progress.unchangedBytes,
    streamBytes: progress.streamBytes,
    snapshotFillPercent: snapshotFill === undefined ? undefined : Math.floor(100 * snapshotFill),
    elapsedSeconds: Math.round(progress.elapsedSeconds * 1000) / 1000,
  };
}
