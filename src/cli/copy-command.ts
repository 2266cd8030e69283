import { Command, Option } from 'commander';
import {
  bwlimit,
  compress,
  dryRun,
  ENGINE,
  force,
  LINKING,
  REACHING,
  REPORTING,
  stateDir,
  withOptions,
} from './shared-options.js';

export function copyCommand(): Command {
  const command = new Command('copy')
    .summary('all of a snapshot, volume, device or file')
    .description(
      'Copy a whole snapshot, volume, block device or file. Zeroes are not sent. May be interrupted and run again: it goes on where it was.',
    )
    .argument(
      '<source>',
      'a snapshot, a logical volume, a block device or a file: [[user@]host:]source',
    )
    .argument('<target>', 'what becomes the same: [[user@]host:]device; one of the two is here')
    .addOption(
      new Option(
        '--create',
        "make the target where there is none: a logical volume /dev/GROUP/NAME of the source's size",
      ),
    )
    .addOption(new Option('--thinpool <pool>', 'make a thin volume, in this pool of the group'))
    .addOption(dryRun());
  return withOptions(
    command,
    ...REACHING,
    ...LINKING,
    compress,
    bwlimit,
    ...ENGINE,
    stateDir,
    force,
    ...REPORTING,
  );
}
