import {
  abortMigration,
  LvmsyncError,
  type MigrateReport,
  migrate,
  openTerminal,
  parseDestination,
  runHere,
} from '../index.js';
import { connectTo, runOnTarget } from './connect.js';
import { deliveryOptions } from './delivery.js';
import { openEngine } from './engine.js';
import { type Job, usageError } from './job.js';
import type { CliOptions, MigrateCliOptions } from './options.js';

/** `lvmsync migrate ORIGIN TARGET` and `lvmsync migrate --abort ORIGIN`. */
export async function runMigrate(job: Job): Promise<void> {
  const { source: origin = '', reporter } = job;
  const options = job.options as CliOptions & MigrateCliOptions;
  if (options.abort) {
    await abortMigration({ origin, stateDirectory: options.stateDir, onSay: reporter.say });
    return;
  }
  if (job.destination === undefined) {
    throw usageError('no target given', 'try: lvmsync migrate ORIGIN [[user@]host:]TARGET');
  }
  const report = await goOn(job, origin, job.destination, options);
  if (options.dryRun) {
    reporter.say('Nothing was changed (--dry-run)');
    return;
  }
  const downtime = describeDowntime(report);
  reporter.say(`Migrated: ${job.destination} holds ${origin}, flushed${downtime}`);
}

async function goOn(
  job: Job,
  origin: string,
  destination: string,
  options: CliOptions & MigrateCliOptions,
): Promise<MigrateReport> {
  const { reporter, signal } = job;
  const place = parseDestination(destination);
  const engine = openEngine(job);
  const { maxDowntime: maxDowntimeSeconds, extendAt: extendAtPercent, stateDir } = options;
  try {
    return await migrate({
      ...options,
      ...{ origin, destination, engine, maxDowntimeSeconds, extendAtPercent, signal },
      stateDirectory: stateDir,
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
