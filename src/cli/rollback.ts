import { rollback } from '../index.js';
import { sayNothingChanged } from './dry-run.js';
import { openEngine } from './engine.js';
import type { Job } from './job.js';
import { packageVersion } from './version.js';

/** `lvmsync rollback SNAPBACK TARGET`. */
export async function runRollback(job: Job): Promise<undefined> {
  const { source: snapbackPath = '', destination: targetPath = '', options, reporter } = job;
  const engine = openEngine(job);
  const { restoredBytes, records, ended, tornBytes } = await rollback({
    snapbackPath,
    targetPath,
    engine,
    force: options.force,
    dryRun: options.dryRun,
    stateDirectory: options.stateDir,
    version: packageVersion(),
    signal: job.signal,
    onWarning: reporter.warn,
  });
  if (tornBytes > 0) {
    reporter.say(
      `The last ${tornBytes} bytes of ${snapbackPath} are a record that was never finished; nothing depends on it.`,
    );
  }
  const kind =
    ended === undefined
      ? 'a PROTO[3] snapback'
      : ended
        ? 'the whole snapback'
        : 'the snapback of an interrupted run';
  if (options.dryRun) {
    reporter.say(
      `Would restore ${restoredBytes} bytes (${records} records) of ${targetPath} from ${kind}`,
    );
    sayNothingChanged(job);
    return;
  }
  reporter.say(
    `Restored ${restoredBytes} bytes (${records} records) of ${targetPath} from ${kind}; flushed`,
  );
}
