import { Command, InvalidArgumentError, Option } from 'commander';
import type { OnStall, SnapshotSize, VerifyChoice } from '../index.js';
import {
  bootstrap,
  bufferMemory,
  channels,
  compress,
  dataChannel,
  debug,
  dryRun,
  engine,
  force,
  noSkipUnchanged,
  parseSeconds,
  parseTimes,
  queueDepth,
  quiet,
  remoteCommand,
  retries,
  rsh,
  skipUnchanged,
  sshConfig,
  stateDir,
  streams,
  timeout,
  verbose,
} from './shared-options.js';

const DEFAULT_MAX_DOWNTIME_SECONDS = 10;
const DEFAULT_EXTEND_AT_PERCENT = 70;
const DEFAULT_SNAPSHOT_PERCENT = 20;

/** What only `lvmsync migrate` is told. */
export interface MigrateOwnOptions {
  abort?: true;
  snapshotSize: SnapshotSize;
  /** Percent. */
  extendAt: number;
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
  return new Command('migrate')
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
    .addOption(
      new Option('--snapshot-size <size>', 'room for changes: a percentage of the origin, or bytes')
        .argParser(parseSnapshotSize)
        .default({ percent: DEFAULT_SNAPSHOT_PERCENT }, `${DEFAULT_SNAPSHOT_PERCENT}%`),
    )
    .addOption(
      new Option('--extend-at <percent>', 'extend a snapshot (lvextend) that is so full')
        .argParser(parsePercent)
        .default(DEFAULT_EXTEND_AT_PERCENT),
    )
    .addOption(rsh())
    .addOption(remoteCommand())
    .addOption(bootstrap())
    .addOption(sshConfig())
    .addOption(timeout())
    .addOption(retries())
    .addOption(channels())
    .addOption(streams())
    .addOption(dataChannel())
    .addOption(compress())
    .addOption(skipUnchanged())
    .addOption(noSkipUnchanged())
    .addOption(verbose())
    .addOption(debug())
    .addOption(quiet())
    .addOption(engine())
    .addOption(queueDepth())
    .addOption(bufferMemory())
    .addOption(stateDir())
    .addOption(force());
}

function parsePercent(text: string): number {
  const percent = /^\d{1,3}%?$/.test(text) ? Number.parseInt(text, 10) : Number.NaN;
  if (percent >= 1 && percent <= 100) return percent;
  throw new InvalidArgumentError('It is a percentage, from 1 to 100.');
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

function parseSnapshotSize(text: string): SnapshotSize {
  if (text.endsWith('%')) return { percent: parsePercent(text) };
  const [, digits, unit = ''] = /^(\d{1,12})([KMGT]?)$/i.exec(text) ?? [];
  const bytes = Number(digits) * (UNITS[unit.toUpperCase()] ?? Number.NaN);
  if (bytes > 0 && Number.isSafeInteger(bytes)) return { bytes };
  throw new InvalidArgumentError('It is a percentage, such as 20%, or a size, such as 10G.');
}
