/** The options of the commands that take snapshots themselves. */
import { InvalidArgumentError, Option } from 'commander';
import type { SnapshotSize } from '../index.js';

const DEFAULT_EXTEND_AT_PERCENT = 70;
const DEFAULT_SNAPSHOT_PERCENT = 20;

export interface SnapshotOptionValues {
  snapshotSize: SnapshotSize;
  /** Percent. */
  extendAt: number;
}

export const snapshotSize = () =>
  new Option('--snapshot-size <size>', 'room for changes: a percentage of the origin, or bytes')
    .argParser(parseSnapshotSize)
    .default({ percent: DEFAULT_SNAPSHOT_PERCENT }, `${DEFAULT_SNAPSHOT_PERCENT}%`);

export const extendAt = () =>
  new Option('--extend-at <percent>', 'extend a snapshot (lvextend) that is so full')
    .argParser(parsePercent)
    .default(DEFAULT_EXTEND_AT_PERCENT);

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
