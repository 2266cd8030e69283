/** Sorted, disjoint byte ranges that do not touch one another, as two typed arrays. */
export interface Extents {
  count: number;
  /** Byte offset of each extent; ascending. */
  readonly offsets: Float64Array;
  /** Length of each extent in bytes; never 0. */
  readonly lengths: Float64Array;
}

/**
 * The changed ranges of a volume, whatever found them. Handed out in slices, so that 25 million
 * scattered chunks never stand in memory as a list.
 */
export interface ExtentSource {
  /** Sum of all lengths. */
  readonly totalBytes: number;
  /** Number of extents over all slices. */
  readonly extentCount: number;
  /**
   * All extents, ascending over the slices too. Can be called again. Those that end at or before
   * `fromOffset` may be missing. A slice is good until the next one is asked for: its memory is used
   * again.
   */
  slices(fromOffset?: number): Iterable<Extents>;
}
