import { Command } from 'commander';
import { debug, dryRun, engine, force, quiet, stateDir, verbose } from './shared-options.js';

export function rollbackCommand(): Command {
  return new Command('rollback')
    .summary('put back what a run has overwritten')
    .description(
      'Put back what a run has overwritten, from its snapback. May be interrupted and run again.',
    )
    .argument('<snapback>', 'the file that --snapback named')
    .argument('<target>', 'what that run wrote to')
    .addOption(dryRun())
    .addOption(verbose())
    .addOption(debug())
    .addOption(quiet())
    .addOption(engine())
    .addOption(stateDir())
    .addOption(force());
}
