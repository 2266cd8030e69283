/** What `lvmsync verify` tells: the ranges on standard output, a summary on standard error. */
import type { ExtentSource, RunResult, VerifyReport } from '../index.js';
import { NOTHING_CHANGED } from './dry-run.js';
import type { Job } from './job.js';

/** A range to a line: offset and length. */
export function printRanges({ options, reporter }: Job, differing: ExtentSource): void {
  if (options.json) return; // they are part of the result
  for (const { count, offsets, lengths } of differing.slices()) {
    let lines = '';
    for (let i = 0; i < count; i++) lines += `${offsets[i]} ${lengths[i]}\n`;
    reporter.output(lines);
  }
}

interface ComparedSource {
  description: string;
  volumeBytes: number;
  /** Something may have been writing to it. */
  live: boolean;
}

export function sayVerified(
  job: Job,
  source: ComparedSource,
  report: VerifyReport,
  milliseconds: number,
): void {
  job.reporter.summary(
    summaryLines(job, source, report, milliseconds),
    resultOf(job, source, report),
  );
}

function summaryLines(
  { options, reporter }: Job,
  { description, volumeBytes, live }: ComparedSource,
  report: VerifyReport,
  milliseconds: number,
): string[] {
  const lines: string[] = [];
  const { comparedBytes, targetBytes, differing, settledBytes, repairedBytes, remaining } = report;
  if (targetBytes > volumeBytes) {
    lines.push(
      `The target is larger: its last ${targetBytes - volumeBytes} bytes are not compared`,
    );
  }
  if (settledBytes > 0) {
    lines.push(
      `${settledBytes} bytes differed at first and did not when they were read again: something writes there`,
    );
  }
  const rate = comparedBytes / 1e3 / milliseconds;
  const whole = comparedBytes === volumeBytes ? '' : ` of ${volumeBytes}`;
  const compared = `Compared ${comparedBytes}${whole} bytes in ${(milliseconds / 1000).toFixed(2)} seconds (${rate.toFixed(0)} MB/s)`;
  if (differing.totalBytes === 0) {
    lines.push(`${compared}: no differences`);
    return lines;
  }
  lines.push(`${compared}: ${amount(differing)} differ`);
  if (options.repair && options.dryRun) {
    lines.push(`Would send ${amount(differing)}`, NOTHING_CHANGED);
  } else if (!options.repair) {
    if (live) lines.push(`${description} can be written to: what was, during the run, differs`);
  } else if (remaining.totalBytes === 0) {
    lines.push(`Repaired: ${repairedBytes} bytes were sent, flushed, and compared again`);
  } else {
    reporter.warn(
      `${amount(remaining)} still differ after ${repairedBytes} bytes were sent: something writes to the source or the target; stop it, or repair from a snapshot`,
    );
  }
  return lines;
}

function resultOf(
  { source, destination, run }: Job,
  { volumeBytes }: ComparedSource,
  report: VerifyReport,
): RunResult {
  const { comparedBytes, targetBytes, differing, settledBytes, repairedBytes, remaining } = report;
  return {
    fields: {
      ...{ source, destination, volumeBytes, targetBytes, comparedBytes },
      differingBytes: differing.totalBytes,
      ...{ settledBytes, repairedBytes },
      remainingBytes: remaining.totalBytes,
      streamBytes: run.bandwidth.passedBytes,
    },
    ranges: differing,
  };
}

function amount({ totalBytes, extentCount }: ExtentSource): string {
  return `${totalBytes} bytes in ${extentCount} ${extentCount === 1 ? 'range' : 'ranges'}`;
}
