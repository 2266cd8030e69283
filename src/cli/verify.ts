import {
  type ChangeSource,
  type Engine,
  EXIT,
  type ExitCode,
  type ExtentSource,
  LvmsyncError,
  openNamedSource,
  openSnapshotSource,
  parseDestination,
  type RunResult,
  type VerifyReport,
  verify,
} from '../index.js';
import { connectTo } from './connect.js';
import { deliveryOptions } from './delivery.js';
import { NOTHING_CHANGED } from './dry-run.js';
import { openEngine } from './engine.js';
import { type Job, usageError } from './job.js';
import type { VerifyOwnOptions } from './verify-command.js';

/** `lvmsync verify SOURCE TARGET`. @returns the exit code */
export async function runVerify(job: Job<VerifyOwnOptions>): Promise<ExitCode> {
  const { source: name = '', destination: target = '', options, reporter } = job;
  const place = parseDestination(target);
  const engine = openEngine(job);
  const startedAt = performance.now();
  job.run.watcher.phase('scan');
  const { source: whole, live, mountPoint } = await openNamedSource(name, engine);
  let listed: ChangeSource | undefined;
  try {
    if (mountPoint !== undefined) {
      reporter.warn(
        `${name} is mounted on ${mountPoint}: what is still in memory is not compared, and what is written meanwhile differs or is missed; compare a snapshot of it`,
      );
    }
    listed = await openListed(job, whole, engine);
    const source = listed === undefined ? whole : listedPart(whole, listed);
    const connection = connectTo(job, place, { engine, source });
    try {
      const report = await verify({
        ...deliveryOptions(job, place),
        source,
        engine,
        open: connection.open,
        openVerifier: connection.openVerifier,
        sample: options.sample,
        live,
        repair: options.repair && !options.dryRun,
        onDifferences: (differing) => printRanges(job, differing),
      });
      await recheck(job, listed);
      const milliseconds = performance.now() - startedAt;
      reporter.summary(
        summaryLines(job, source, report, milliseconds, live),
        resultOf(job, source, report),
      );
      return report.remaining.totalBytes === 0 ? EXIT.success : EXIT.differencesFound;
    } finally {
      await connection.close();
    }
  } finally {
    await listed?.close();
    await whole.close();
  }
}

async function openListed(
  { options, reporter, run, signal }: Job<VerifyOwnOptions>,
  whole: ChangeSource,
  engine: Engine,
): Promise<ChangeSource | undefined> {
  if (options.changed === undefined) return undefined;
  const listed = await openSnapshotSource({
    name: options.changed,
    engine,
    stateDirectory: options.stateDir,
    signal,
    onWarning: reporter.warn,
    watcher: run.watcher,
  });
  if (listed.volumeBytes === whole.volumeBytes) return listed;
  await listed.close();
  throw usageError(
    `${options.changed} is of a volume of ${listed.volumeBytes} bytes, but ${whole.description} has ${whole.volumeBytes}`,
    'name a snapshot of the source',
  );
}

/** Data of the one, extents of the other. */
function listedPart(whole: ChangeSource, { extents, chunkBytes, id, paths }: ChangeSource) {
  return {
    ...whole,
    id: `${whole.id} ${id}`,
    extents,
    chunkBytes,
    paths: [...whole.paths, ...paths],
  };
}

/** A list that grew meanwhile was the right one when it was read. One that was lost was not. */
async function recheck({ reporter }: Job, listed: ChangeSource | undefined): Promise<void> {
  try {
    await listed?.recheck();
  } catch (error) {
    if (!(error instanceof LvmsyncError) || error.code !== 'SNAPSHOT_CHANGED') throw error;
    reporter.warn(`more has changed during the run, which was not compared: ${error.message}`);
  }
}

function printRanges({ options, reporter }: Job, differing: ExtentSource): void {
  if (options.json) return; // they are part of the result
  for (const { count, offsets, lengths } of differing.slices()) {
    let lines = '';
    for (let i = 0; i < count; i++) lines += `${offsets[i]} ${lengths[i]}\n`;
    reporter.output(lines);
  }
}

function summaryLines(
  { options, reporter }: Job,
  { description, volumeBytes }: ChangeSource,
  report: VerifyReport,
  milliseconds: number,
  live: boolean,
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
  { volumeBytes }: ChangeSource,
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
