import { Command, Option } from 'commander';
import { parseKeep } from './replica-words.js';
import {
  bwlimit,
  compress,
  dryRun,
  ENGINE,
  force,
  LINKING,
  noSkipUnchanged,
  parseSeconds,
  REACHING,
  REPORTING,
  skipUnchanged,
  stateDir,
  withOptions,
} from './shared-options.js';
import { extendAt, type SnapshotOptionValues, snapshotSize } from './snapshot-options.js';

const DEFAULT_PAUSE_SECONDS = 60;

/** What only `lvmsync replicate` is told. */
export interface ReplicateOwnOptions extends SnapshotOptionValues {
  remove?: true;
  compare?: true;
  keep: number;
  freeze?: true;
  pre?: string;
  post?: string;
  /** In seconds. */
  pauseLimit: number;
}

/** `lvmsync replicate`, as commander reads it. */
export function replicateCommand(): Command {
  const command = new Command('replicate')
    .summary('a volume kept up to date elsewhere, run by run')
    .description(
      'Bring a volume elsewhere to the present state of one here, sending what has changed since the last run; the first run copies it. Several volumes are of one moment, and their targets switch all or none. Run the same command again after whatever stopped it.',
    )
    .usage('[options] ORIGIN TARGET [ORIGIN TARGET]...')
    .argument(
      '<words...>',
      'a logical volume and where it goes ([[user@]host:]device), and more such pairs',
    )
    .addOption(dryRun())
    .addOption(
      new Option(
        '--remove',
        'end it: remove the snapshots that it keeps; the targets stay as they are',
      ).conflicts('dryRun'),
    )
    .addOption(
      new Option(
        '--keep <number>',
        'how many earlier states the target can be rolled back to (lvmsync rollback --to)',
      )
        .argParser(parseKeep)
        .default(0),
    )
    .addOption(
      new Option(
        '--compare',
        'find what differs by comparing all: for a target that holds most of it already, or that was written to',
      ),
    )
    .addOption(
      new Option(
        '--freeze',
        'freeze the file systems on the volumes while the snapshots are taken (Linux 6.8 and later)',
      ),
    )
    .addOption(
      new Option(
        '--pre <command>',
        'a shell command before the snapshots are taken, which makes the writers wait',
      ),
    )
    .addOption(
      new Option(
        '--post <command>',
        'a shell command after them; run whenever --pre was begun, however the run ends',
      ),
    )
    .addOption(
      new Option('--pause-limit <seconds>', 'let the writers go on after that long in any case')
        .argParser(parseSeconds)
        .default(DEFAULT_PAUSE_SECONDS),
    )
    .addOption(snapshotSize())
    .addOption(extendAt());
  return withOptions(
    command,
    ...REACHING,
    ...LINKING,
    compress,
    skipUnchanged,
    noSkipUnchanged,
    bwlimit,
    ...ENGINE,
    stateDir,
    force,
    ...REPORTING,
  );
}
