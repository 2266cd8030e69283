import { Command } from 'commander';
import {
  debug,
  engine,
  force,
  json,
  progress,
  progressFd,
  quiet,
  stateDir,
  verbose,
} from './shared-options.js';

export function rollbackCommand(): Command {
  return new Command('rollback')
    .description(
      'Put back what a run has overwritten, from its snapback. May be interrupted and run again.',
    )
    .argument('<snapback>', 'the file that --snapback named')
    .argument('<target>', 'what that run wrote to')
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
