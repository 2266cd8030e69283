import { Command, InvalidArgumentError, Option } from 'commander';
import { jsonOption } from './map.js';
import { debug, parseBandwidth, quiet, stateDir, verbose } from './shared-options.js';

/** What only `lvmsync status` is told. */
export interface StatusOwnOptions {
  json?: true;
  set?: RunSetting;
}

/** What can be changed of a run in flight. */
export interface RunSetting {
  /** In bytes a second; 0: no limit. */
  bwlimit: number;
}

export function statusCommand(): Command {
  return new Command('status')
    .summary('what lvmsync has on this machine, and left behind')
    .description(
      'Say what lvmsync has on this machine: its runs in flight, snapshots, migrations, and what interrupted runs have left. Changes nothing but what --set says, of a run in flight.',
    )
    .argument('[run]', 'only this run in flight: its process id')
    .addOption(
      new Option(
        '--set <setting>',
        'bwlimit=RATE: the run sends no more than this from now on, as with --bwlimit',
      ).argParser(parseSetting),
    )
    .addOption(jsonOption())
    .addOption(stateDir())
    .addOption(verbose())
    .addOption(debug())
    .addOption(quiet());
}

function parseSetting(text: string): RunSetting {
  const [, rate] = /^bwlimit=(.*)$/.exec(text) ?? [];
  if (rate === undefined) throw new InvalidArgumentError('It is bwlimit=RATE.');
  return { bwlimit: parseBandwidth(rate) };
}
