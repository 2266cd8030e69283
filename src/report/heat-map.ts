/** A volume as rows of cells, each with the part of it that has changed: the model of a picture. */
import type { Coverage } from '../extents/coverage.js';

export interface HeatMap {
  volumeBytes: number;
  /** What one row shows: a power of two. */
  rowBytes: number;
  /** What one cell shows; need not be whole. */
  cellBytes: number;
  /** For each row the parts of its cells, from 0 to 1. The last row ends with the volume. */
  rows: Float64Array[];
}

/** Parts are told apart by powers of ten: of a large volume most changes are a little here and there. */
export const LEVELS = [
  { upTo: 0, words: 'none' },
  { upTo: 0.01, words: 'up to 1%' },
  { upTo: 0.1, words: 'up to 10%' },
  { upTo: 0.5, words: 'up to 50%' },
  { upTo: Number.POSITIVE_INFINITY, words: 'more' },
] as const;

/** Which of `LEVELS` a part belongs to: nothing changed is 0, and nothing else is. */
export function levelOf(share: number): number {
  return LEVELS.findIndex(({ upTo }) => share <= upTo);
}

const MIN_ROW_BYTES = 32 * 1024;

/** Of a volume that is to be shown in so many rows at the most. */
export function rowBytesOf(volumeBytes: number, maxRows: number): number {
  let rowBytes = MIN_ROW_BYTES;
  while (rowBytes * maxRows < volumeBytes) rowBytes *= 2;
  return rowBytes;
}

/** @param columns cells in a whole row */
export function layOutMap(
  coverage: Coverage,
  volumeBytes: number,
  { columns, maxRows }: { columns: number; maxRows: number },
): HeatMap {
  const rowBytes = rowBytesOf(volumeBytes, maxRows);
  const cellBytes = rowBytes / columns;
  const coveredBelow = createSum(coverage);
  const rows: Float64Array[] = [];
  for (let start = 0; start < volumeBytes; start += rowBytes) {
    const end = Math.min(start + rowBytes, volumeBytes);
    const row = new Float64Array(Math.min(columns, Math.ceil((end - start) / cellBytes)));
    for (let column = 0; column < row.length; column++) {
      const from = start + column * cellBytes;
      const to = Math.min(from + cellBytes, end);
      row[column] = Math.min(1, (coveredBelow(to) - coveredBelow(from)) / (to - from));
    }
    rows.push(row);
  }
  return { volumeBytes, rowBytes, cellBytes, rows };
}

/** Bytes covered below an offset; within one part of the coverage they are taken to be even. */
function createSum(coverage: Coverage): (offset: number) => number {
  const { binBytes, covered } = coverage.bins();
  const sums = new Float64Array(covered.length + 1);
  for (let bin = 0; bin < covered.length; bin++) sums[bin + 1] = sums[bin]! + covered[bin]!;
  return (offset) => {
    const bin = Math.floor(offset / binBytes);
    if (bin >= covered.length) return sums[covered.length]!;
    return sums[bin]! + (covered[bin]! * (offset - bin * binBytes)) / binBytes;
  };
}
