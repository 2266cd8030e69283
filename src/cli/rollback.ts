import { listStates, rollback, rollbackTo } from '../index.js';
import { sayPlan } from './dry-run.js';
import { openEngine } from './engine.js';
import { type Job, usageError } from './job.js';
import type { RollbackCommandOptions } from './rollback-command.js';
import { packageVersion } from './version.js';

type RollbackJob = Job<RollbackCommandOptions>;

/** `lvmsync rollback SNAPBACK TARGET`, `--to TIME TARGET` and `--list TARGET`. */
export async function runRollback(job: RollbackJob): Promise<undefined> {
  const { words, options } = job;
  const wanted = options.list || options.to !== undefined ? 1 : 2;
  if (words.length !== wanted) {
    throw usageError(
      wanted === 1 ? 'one target is needed, and no snapback' : 'a snapback and a target are needed',
    );
  }
  const [first = '', second = ''] = words;
  if (options.list) await list(job, first);
  else if (options.to !== undefined) await rollBackTo(job, first, options.to);
  else await rollBackFrom(job, first, second);
}

async function list({ options, reporter }: RollbackJob, targetPath: string): Promise<void> {
  const stateDirectory = options.stateDir;
  const { times, holds, unfinished } = await listStates({ targetPath, stateDirectory });
  if (unfinished !== undefined) reporter.warn(`${targetPath} ${unfinished}`);
  const lines = times.map((time) => (time === holds ? `${time} held\n` : `${time}\n`));
  if (!options.json) reporter.output(lines.join(''));
  reporter.summary([], { fields: { destination: targetPath, times, holds, unfinished } });
}

async function rollBackTo(job: RollbackJob, targetPath: string, time: string): Promise<void> {
  const { reporter } = job;
  const { holds, restoredBytes } = await rollbackTo({
    ...commonOptions(job),
    targetPath,
    time,
    onState: (reached, bytes) =>
      reporter.note(`${targetPath} holds the state of ${reached} (${bytes} bytes)`),
  });
  if (job.options.dryRun) {
    const plan = `Would take ${targetPath} back to the state of ${holds}`;
    sayPlan(job, [plan], { destination: targetPath, to: holds });
    return;
  }
  reporter.summary(
    [`Restored ${restoredBytes} bytes: ${targetPath} holds the state of ${holds}; flushed`],
    { fields: { destination: targetPath, restoredBytes, holds, flushed: true } },
  );
}

async function rollBackFrom(
  job: RollbackJob,
  snapbackPath: string,
  targetPath: string,
): Promise<void> {
  const { reporter } = job;
  const { restoredBytes, records, ended, tornBytes } = await rollback({
    ...commonOptions(job),
    snapbackPath,
    targetPath,
  });
  const lines: string[] = [];
  if (tornBytes > 0) {
    lines.push(
      `The last ${tornBytes} bytes of ${snapbackPath} are a record that was never finished; nothing depends on it.`,
    );
  }
  const kind =
    ended === undefined
      ? 'a PROTO[3] snapback'
      : ended
        ? 'the whole snapback'
        : 'the snapback of an interrupted run';
  if (job.options.dryRun) {
    lines.push(
      `Would restore ${restoredBytes} bytes (${records} records) of ${targetPath} from ${kind}`,
    );
    sayPlan(job, lines, {
      ...{ source: snapbackPath, destination: targetPath, plannedBytes: restoredBytes, records },
    });
    return;
  }
  lines.push(
    `Restored ${restoredBytes} bytes (${records} records) of ${targetPath} from ${kind}; flushed`,
  );
  reporter.summary(lines, {
    fields: {
      ...{ source: snapbackPath, destination: targetPath, restoredBytes, records },
      ...{ complete: ended, tornBytes, flushed: true },
    },
  });
}

function commonOptions(job: RollbackJob) {
  const { options, reporter, run, signal } = job;
  return {
    engine: openEngine(job),
    force: options.force,
    dryRun: options.dryRun,
    stateDirectory: options.stateDir,
    version: packageVersion(),
    signal,
    watcher: run.watcher,
    onWarning: reporter.warn,
  };
}
