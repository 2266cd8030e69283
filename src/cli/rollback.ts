import { rollback } from '../index.js';
import { openEngine } from './engine.js';
import type { Job } from './job.js';
import { packageVersion } from './version.js';

/** `lvmsync rollback SNAPBACK TARGET`. */
export async function runRollback(job: Job): Promise<undefined> {
  const { source: snapbackPath = '', destination: targetPath = '', options, reporter, run } = job;
  const engine = openEngine(job);
  const { restoredBytes, records, ended, tornBytes } = await rollback({
    snapbackPath,
    targetPath,
    engine,
    force: options.force,
    stateDirectory: options.stateDir,
    version: packageVersion(),
    signal: job.signal,
    watcher: run.watcher,
    onWarning: reporter.warn,
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
