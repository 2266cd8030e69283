import { Command, InvalidArgumentError, Option } from 'commander';
import { BUFFER_MEMORY, type SampleSize } from '../index.js';
import { parseBufferMemory, rangeOf } from './engine.js';
import {
  bwlimit,
  dryRun,
  engine,
  force,
  queueDepth,
  REACHING,
  REPORTING,
  stateDir,
  withOptions,
} from './shared-options.js';

const DEFAULT_SAMPLE: SampleSize = { percent: 1 };
/** Reading and hashing at once take more in flight than a transfer, which has a link to wait for. */
const VERIFY_BUFFER_BYTES = 32 << 20;
const MAX_BLOCKS = 1_000_000;

/** What only `lvmsync verify` is told. */
export interface VerifyOwnOptions {
  sample?: SampleSize;
  /** A snapshot: what it lists is all that is compared. */
  changed?: string;
}

export function verifyCommand(): Command {
  const command = new Command('verify')
    .summary('is the target the same? with --repair: make it so')
    .description(
      'Compare a target with a source by hash. Prints the ranges that differ: offset and length in bytes. Exit status 1 if there are any.',
    )
    .argument(
      '<source>',
      'a snapshot, a logical volume, a block device or a file: [[user@]host:]source',
    )
    .argument('<target>', 'what is to be the same: [[user@]host:]device; one of the two is here')
    .addOption(
      new Option(
        '--sample [size]',
        'compare random blocks of 64 KiB: so many, or so many percent (default: 1%)',
      ).argParser(parseSample),
    )
    .addOption(
      new Option(
        '--changed <snapshot>',
        'compare only what this snapshot of the source lists as changed since it was taken',
      ),
    )
    .addOption(new Option('--repair', 'send what differs, and compare it again'))
    .addOption(dryRun())
    .addOption(
      new Option(
        '--buffer-memory <size>',
        `for what is being compared, at each end: ${rangeOf(BUFFER_MEMORY, 'M')}`,
      )
        .argParser(parseBufferMemory)
        .default(VERIFY_BUFFER_BYTES, '32M'),
    );
  return withOptions(
    command,
    ...REACHING,
    bwlimit,
    engine,
    queueDepth,
    stateDir,
    force,
    ...REPORTING,
  );
}

/** @param text undefined where the option has no value */
function parseSample(text: string | undefined): SampleSize {
  if (text === undefined) return DEFAULT_SAMPLE;
  const [, digits, percentSign] = /^(\d{1,7}(?:\.\d{1,6})?)(%?)$/.exec(text) ?? [];
  const number = Number(digits);
  if (percentSign === '%' && number > 0 && number <= 100) return { percent: number };
  if (percentSign === '' && Number.isInteger(number) && number > 0 && number <= MAX_BLOCKS) {
    return { blocks: number };
  }
  throw new InvalidArgumentError('It is a number of blocks, or a percentage such as 5%.');
}
