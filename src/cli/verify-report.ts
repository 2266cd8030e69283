/** What `lvmsync verify` tells: the ranges on standard output, a summary on standard error. */
import type { ExtentSource, VerifyReport } from '../index.js';
import type { Job } from './job.js';
import { printText } from './print.js';

/** A range to a line: offset and length. */
export function printRanges(differing: ExtentSource): void {
  for (const { count, offsets, lengths } of differing.slices()) {
    let lines = '';
    for (let i = 0; i < count; i++) lines += `${offsets[i]} ${lengths[i]}\n`;
    printText(lines);
  }
}

interface ComparedSource {
  description: string;
  volumeBytes: number;
  /** Something may have been writing to it. */
  live: boolean;
}

export function sayVerified(
  { options, reporter }: Job,
  { description, volumeBytes, live }: ComparedSource,
  report: VerifyReport,
  milliseconds: number,
): void {
  const { comparedBytes, targetBytes, differing, settledBytes, repairedBytes, remaining } = report;
  if (targetBytes > volumeBytes) {
    reporter.say(
      `The target is larger: its last ${targetBytes - volumeBytes} bytes are not compared`,
    );
  }
  if (settledBytes > 0) {
    reporter.say(
      `${settledBytes} bytes differed at first and did not when they were read again: something writes there`,
    );
  }
  const rate = comparedBytes / 1e3 / milliseconds;
  const whole = comparedBytes === volumeBytes ? '' : ` of ${volumeBytes}`;
  const compared = `Compared ${comparedBytes}${whole} bytes in ${(milliseconds / 1000).toFixed(2)} seconds (${rate.toFixed(0)} MB/s)`;
  if (differing.totalBytes === 0) {
    reporter.say(`${compared}: no differences`);
    return;
  }
  reporter.say(`${compared}: ${amount(differing)} differ`);
  if (!options.repair) {
    if (live) reporter.say(`${description} can be written to: what was, during the run, differs`);
  } else if (remaining.totalBytes === 0) {
    reporter.say(`Repaired: ${repairedBytes} bytes were sent, flushed, and compared again`);
  } else {
    reporter.warn(
      `${amount(remaining)} still differ after ${repairedBytes} bytes were sent: something writes to the source or the target; stop it, or repair from a snapshot`,
    );
  }
}

function amount({ totalBytes, extentCount }: ExtentSource): string {
  return `${totalBytes} bytes in ${extentCount} ${extentCount === 1 ? 'range' : 'ranges'}`;
}
