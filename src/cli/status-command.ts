import { Command } from 'commander';
import { jsonOption } from './map.js';
import { debug, quiet, stateDir, verbose } from './shared-options.js';

/** What only `lvmsync status` is told. */
export interface StatusOwnOptions {
  json?: true;
}

export function statusCommand(): Command {
  return new Command('status')
    .summary('what lvmsync has on this machine, and left behind')
    .description(
      'Say what lvmsync has on this machine: its snapshots, migrations, and what interrupted runs have left. Changes nothing.',
    )
    .addOption(jsonOption())
    .addOption(stateDir())
    .addOption(verbose())
    .addOption(debug())
    .addOption(quiet());
}
