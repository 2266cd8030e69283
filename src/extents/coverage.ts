/**
 * How much of each part of a volume some ranges cover, in memory of a fixed size whatever the
 * volume: what a picture of it is made of. The parts double in size when a range lies beyond them,
 * so that nothing need be known of the volume beforehand.
 */
export interface Coverage {
  /** Takes a range into account; in any order. One that is there twice counts once, about. */
  add(offset: number, length: number): void;
  /** Where the last range ends, in bytes. */
  readonly end: number;
  /** A snapshot of the parts. */
  bins(): CoverageBins;
}

export interface CoverageBins {
  /** Size of a part in bytes: a power of two. */
  readonly binBytes: number;
  /** Bytes covered in each part, at most its size. */
  readonly covered: Float64Array;
}

const BIN_COUNT = 2 ** 16;
const MIN_BIN_BYTES = 512;

export function createCoverage(): Coverage {
  let binBytes = MIN_BIN_BYTES;
  let end = 0;
  let covered = new Float64Array(BIN_COUNT);
  /** +1 where a run of whole parts begins, -1 behind it: one range costs the same as any other. */
  let steps = new Float64Array(BIN_COUNT);

  /** All that is known, in `covered`. */
  function settle(): void {
    let depth = 0;
    for (let bin = 0; bin < BIN_COUNT; bin++) {
      depth += steps[bin]!;
      covered[bin] = Math.min(binBytes, covered[bin]! + depth * binBytes);
    }
    steps = new Float64Array(BIN_COUNT);
  }

  function grow(): void {
    settle();
    covered = joinPairs(covered);
    binBytes *= 2;
  }

  return {
    add(offset, length) {
      const rangeEnd = offset + length;
      end = Math.max(end, rangeEnd);
      while (rangeEnd > binBytes * BIN_COUNT) grow();
      const first = Math.floor(offset / binBytes);
      const last = Math.ceil(rangeEnd / binBytes) - 1;
      if (last <= first) {
        covered[first]! += length;
        return;
      }
      covered[first]! += (first + 1) * binBytes - offset;
      covered[last]! += rangeEnd - last * binBytes;
      steps[first + 1]!++;
      steps[last]!--;
    },
    get end() {
      return end;
    },
    bins() {
      settle();
      return { binBytes, covered: covered.slice() };
    },
  };
}

/** Half as many parts, twice as large; zeroes behind them. */
function joinPairs(covered: Float64Array): Float64Array<ArrayBuffer> {
  const joined = new Float64Array(BIN_COUNT);
  for (let bin = 0; bin < BIN_COUNT / 2; bin++) {
    joined[bin] = covered[2 * bin]! + covered[2 * bin + 1]!;
  }
  return joined;
}

/**
 * Whether ranges of both lie in the same part. Parts are small (512 bytes up to 32 MiB of volume, 1
 * MiB up to 64 GiB), but not that small: they may meet in one without overlapping.
 */
export function mayOverlap(one: Coverage, other: Coverage): boolean {
  let [fine, coarse] = [one.bins(), other.bins()];
  if (fine.binBytes > coarse.binBytes) [fine, coarse] = [coarse, fine];
  let { binBytes, covered } = fine;
  for (; binBytes < coarse.binBytes; binBytes *= 2) covered = joinPairs(covered);
  return covered.some((bytes, bin) => bytes > 0 && coarse.covered[bin]! > 0);
}
