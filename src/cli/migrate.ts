import {
  abortMigration,
  LvmsyncError,
  type MigrateReport,
  migrate,
  openTerminal,
  parseDestination,
  type RunResult,
  runHere,
} from '../index.js';
import { connectTo, runOnTarget } from './connect.js';
import { deliveryOptions } from './delivery.js';
import { NOTHING_CHANGED } from './dry-run.js';
import { openEngine } from './engine.js';
import { type Job, usageError } from './job.js';
import type { MigrateOwnOptions } from './migrate-command.js';

/** `lvmsync migrate ORIGIN TARGET` and `lvmsync migrate --abort ORIGIN`. */
export async function runMigrate(job: Job<MigrateOwnOptions>): Promise<undefined> {
  const { source: origin = '', destination, reporter, run } = job;
  const { options } = job;
  if (options.abort) {
    await abortMigration({ origin, stateDirectory: options.stateDir, onSay: reporter.say });
    return;
  }
  if (destination === undefined) {
    throw usageError('no target given', 'try: lvmsync migrate ORIGIN [[user@]host:]TARGET');
  }
  const report = await goOn(job, origin, destination);
  const { zeroBytes, unchangedBytes, streamBytes } = run.progress();
  const result: RunResult = {
    fields: {
      ...{ source: origin, destination, dryRun: options.dryRun === true, ...report },
      ...{ zeroBytes, unchangedBytes, streamBytes },
    },
  };
  if (options.dryRun) {
    reporter.summary([NOTHING_CHANGED], result);
    return;
  }
  const lines = [
    `Sent ${report.dataBytes} bytes of ${report.volumeBytes} in this run, as ${streamBytes} bytes of stream; not sent: ${zeroBytes} of zeroes, ${unchangedBytes} unchanged; rounds: ${report.rounds}`,
    `Migrated: ${destination} holds ${origin}, flushed${describeDowntime(report)}`,
  ];
  reporter.summary(lines, result);
}

async function goOn(
  job: Job<MigrateOwnOptions>,
  origin: string,
  destination: string,
): Promise<MigrateReport> {
  const { options, reporter, signal } = job;
  const place = parseDestination(destination);
  const engine = openEngine(job);
  try {
    return await migrate({
      ...{ origin, destination, engine, signal },
      snapshotSize: options.snapshotSize,
      extendAtPercent: options.extendAt,
      maxDowntimeSeconds: options.maxDowntime,
      rounds: options.rounds,
      onStall: options.onStall,
      beforeCutover: options.beforeCutover,
      afterCutover: options.afterCutover,
      verify: options.verify,
      dryRun: options.dryRun,
      stateDirectory: options.stateDir,
      delivery: deliveryOptions(job, place),
      peer: {
        connect: (source) => connectTo(job, place, { engine, source }),
        runShell: (line) => runOnTarget(job, place, line),
      },
      runShell: (line) => runHere(line, reporter.relay),
      ask: asker(),
      onSay: reporter.say,
      onNote: reporter.note,
      onWarning: reporter.warn,
    });
  } catch (error) {
    if (!(error instanceof LvmsyncError) || error.code !== 'INTERRUPTED') throw error;
    throw new LvmsyncError('INTERRUPTED', 'the migration was interrupted', {
      hint: 'run the same command again to go on, or give it up with lvmsync migrate --abort; until then its snapshots fill up',
      cause: error,
    });
  }
}

function asker() {
  const terminal = openTerminal();
  if (terminal === undefined) return undefined;
  return async (question: string, answers: readonly string[]): Promise<string> => {
    for (;;) {
      const text = await terminal.ask(`${question} [${answers.join('/')}] `, 'shown');
      const answer = answers.find((each) => each === text.trim().toLowerCase());
      if (answer !== undefined) return answer;
    }
  };
}

function describeDowntime({ downtimeSeconds, commandSeconds }: MigrateReport): string {
  if (downtimeSeconds === undefined) return '';
  const command =
    commandSeconds > 0 ? `, ${commandSeconds.toFixed(1)} s of it for --before-cutover` : '';
  return `; downtime ${downtimeSeconds.toFixed(1)} s${command}`;
}
