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
import type { MigrateCliOptions } from './options.js';

/** `lvmsync migrate ORIGIN TARGET` and `lvmsync migrate --abort ORIGIN`. */
export async function runMigrate(job: Job): Promise<void> {
  const { source: origin = '', destination, reporter } = job;
  const { migration, stateDir: stateDirectory } = job.options;
  if (migration === undefined) throw usageError('no migration');
  if (migration.abort) {
    await abortMigration({ origin, stateDirectory, onSay: reporter.say });
    return;
  }
  if (destination === undefined) {
    throw usageError('no target given', 'try: lvmsync migrate ORIGIN [[user@]host:]TARGET');
  }
  const report = await goOn(job, origin, destination, migration);
  if (migration.dryRun) {
    reporter.say('Nothing was changed (--dry-run)');
    return;
  }
  reporter.say(`Migrated: ${destination} holds ${origin}, flushed${describeDowntime(report)}`);
}

async function goOn(
  job: Job,
  origin: string,
  destination: string,
  { maxDowntime, extendAt, ...migration }: MigrateCliOptions,
): Promise<MigrateReport> {
  const { reporter, signal } = job;
  const place = parseDestination(destination);
  const engine = openEngine(job);
  try {
    return await migrate({
      ...migration,
      ...{ origin, destination, engine, signal },
      maxDowntimeSeconds: maxDowntime,
      extendAtPercent: extendAt,
      stateDirectory: job.options.stateDir,
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
