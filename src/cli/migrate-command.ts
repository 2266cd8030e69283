import { Command, Option } from 'commander';
import type { OnStall, VerifyChoice } from '../index.js';
import {
  bwlimit,
  compress,
  dryRun,
  ENGINE,
  force,
  LINKING,
  noSkipUnchanged,
  parseSeconds,
  parseTimes,
  REACHING,
  REPORTING,
  skipUnchanged,
  stateDir,
  withOptions,
} from './shared-options.js';
import { extendAt, type SnapshotOptionValues, snapshotSize } from './snapshot-options.js';

const DEFAULT_MAX_DOWNTIME_SECONDS = 10;

/** What only `lvmsync migrate` is told. */
export interface MigrateOwnOptions extends SnapshotOptionValues {
  abort?: true;
  /** In seconds. */
  maxDowntime: number;
  rounds?: number;
  onStall?: OnStall;
  beforeCutover?: string;
  afterCutover?: string;
  verify: VerifyChoice;
}

/** `lvmsync migrate`, as commander reads it. */
export function migrateCommand(): Command {
  const command = new Command('migrate')
    .summary('a volume in use to another place, in one go')
    .description(
      'Bring a whole volume to another place while it is in use, and stop its users for the last changes only. Run the same command again after whatever stopped it.',
    )
    .argument('<origin>', 'the logical volume')
    .argument('[target]', 'where it goes: [[user@]host:]device')
    .addOption(dryRun())
    .addOption(
      new Option('--abort', 'give it up: remove the snapshots that it has made').conflicts(
        'dryRun',
      ),
    )
    .addOption(
      new Option('--max-downtime <seconds>', 'cut over when what is left takes no longer than this')
        .argParser(parseSeconds)
        .default(DEFAULT_MAX_DOWNTIME_SECONDS),
    )
    .addOption(
      new Option('--rounds <number>', 'cut over after so many rounds, whatever is left').argParser(
        parseTimes,
      ),
    )
    .addOption(
      new Option(
        '--on-stall <what>',
        'when the rounds do not get shorter (default: ask on a terminal, else abort)',
      ).choices(['cutover', 'continue', 'abort']),
    )
    .addOption(
      new Option(
        '--before-cutover <command>',
        'a shell command on this machine that stops what uses the origin; may be run again',
      ),
    )
    .addOption(
      new Option(
        '--after-cutover <command>',
        "a shell command on the target's machine, when the target holds everything; may be run again",
      ),
    )
    .addOption(
      new Option('--verify <what>', 'what is compared with the target before it takes its place')
        .choices(['changed', 'sample', 'full', 'none'])
        .default('changed'),
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
