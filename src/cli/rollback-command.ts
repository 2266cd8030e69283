import { Command, Option } from 'commander';
import { parseLocalTime } from './local-time.js';
import {
  debug,
  dryRun,
  engine,
  force,
  json,
  progress,
  progressFd,
  quiet,
  stateDir,
  verbose,
} from './shared-options.js';

/** What only `lvmsync rollback` takes. */
export interface RollbackCommandOptions {
  /** In UTC. */
  to?: string;
  list?: true;
}

export function rollbackCommand(): Command {
  return new Command('rollback')
    .summary('put back what a run has overwritten')
    .description(
      'Put back what a run has overwritten, from its snapback; or take a target that is replicated to back to an older state. May be interrupted and run again.',
    )
    .usage(
      '[options] SNAPBACK TARGET\n       lvmsync rollback [options] --to TIME TARGET\n       lvmsync rollback --list TARGET',
    )
    .argument('<snapback>', 'the file that --snapback named; not with --to and --list')
    .argument('[target]', 'what that run wrote to')
    .addOption(
      new Option(
        '--to <time>',
        'back to the newest state of the target that is not later: 2026-01-31T12:00:00Z, without Z local time, a date alone its beginning',
      )
        .argParser(parseLocalTime)
        .conflicts('list'),
    )
    .addOption(new Option('--list', 'print the times of the states that there are'))
    .addOption(dryRun())
    .addOption(progress())
    .addOption(progressFd())
    .addOption(json())
    .addOption(verbose())
    .addOption(debug())
    .addOption(quiet())
    .addOption(engine())
    .addOption(stateDir())
    .addOption(force());
}
