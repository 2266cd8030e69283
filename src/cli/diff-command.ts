import { Command, InvalidArgumentError, Option } from 'commander';
import { jsonOption, mapOption } from './map.js';
import { debug, engine, force, queueDepth, quiet, stateDir, verbose } from './shared-options.js';

/** What only `lvmsync diff` is told. */
export interface DiffOwnOptions {
  /** Bits per second. */
  link?: number;
  map?: true;
  svg?: string;
  json?: true;
  against?: string;
}

export function diffCommand(): Command {
  return new Command('diff')
    .summary('how much has changed, and when will the snapshot be full?')
    .description(
      'Say how much has changed since a snapshot was taken, how long sending it takes, and when the snapshot will be full. Changes nothing.',
    )
    .argument('[snapshot]', 'a snapshot, thick or thin')
    .addOption(
      new Option(
        '--link <rate>',
        'estimate for a link of so many bits per second: 100M, 2.5G (default: 100M, 1G and 10G)',
      ).argParser(parseLink),
    )
    .addOption(mapOption())
    .addOption(new Option('--svg <file>', 'write the map as a picture'))
    .addOption(jsonOption())
    .addOption(
      new Option(
        '--against <snapshot>',
        'compare a thin snapshot with this later one, instead of the volume as it is',
      ).conflicts(['cowDevice', 'dataSource']),
    )
    .addOption(
      new Option(
        '--cow-device <store>',
        'read this exception store, without LVM; needs --data-source',
      ),
    )
    .addOption(new Option('-r, --data-source <device>', 'the origin of --cow-device'))
    .addOption(engine())
    .addOption(queueDepth())
    .addOption(stateDir())
    .addOption(force())
    .addOption(verbose())
    .addOption(debug())
    .addOption(quiet());
}

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

/** Bits per second in powers of 1000, as links are sold: `1G` is 1 Gbit/s. */
export function parseLink(text: string): number {
  const [, digits, unit = ''] =
    /^(\d{1,9}(?:\.\d{1,6})?)([kmgt]?)(?:bit(?:\/s)?)?$/i.exec(text) ?? [];
  const bitsPerSecond = Number(digits) * (UNITS[unit.toLowerCase()] ?? Number.NaN);
  if (bitsPerSecond >= 1000 && bitsPerSecond <= 1e15) return bitsPerSecond;
  throw new InvalidArgumentError('It is a number of bits per second, such as 100M or 2.5G.');
}
