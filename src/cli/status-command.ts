import { Command, InvalidArgumentError, Option } from 'commander';
import { debug, json, parseBandwidth, quiet, verbose } from './shared-options.js';

/** What only `lvmsync status` is told. */
export interface StatusOwnOptions {
  set?: RunSetting;
}

/** What can be changed of a run in flight. */
export interface RunSetting {
  /** In bytes a second; 0: no limit. */
  bwlimit: number;
}

export function statusCommand(): Command {
  return new Command('status')
    .description('Show the runs in flight on this machine, or change one of them.')
    .argument('[run]', 'the process id of a run; needed where there are several to choose from')
    .addOption(
      new Option(
        '--set <setting>',
        'bwlimit=RATE: from now on send no more than this, as --bwlimit takes it',
      ).argParser(parseSetting),
    )
    .addOption(json())
    .addOption(verbose())
    .addOption(debug())
    .addOption(quiet());
}

function parseSetting(text: string): RunSetting {
  const [, rate] = /^bwlimit=(.*)$/.exec(text) ?? [];
  if (rate === undefined) throw new InvalidArgumentError('It is bwlimit=RATE.');
  return { bwlimit: parseBandwidth(rate) };
}
