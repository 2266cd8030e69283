/** What is said of a few timings of the same thing. */
export interface Spread {
  median: number;
  least: number;
  most: number;
}

/** @param values at least one */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle]!;
  const median = sorted.length % 2 === 1 ? upper : (sorted[middle - 1]! + upper) / 2;
  return { median, least: sorted[0]!, most: sorted.at(-1)! };
}

/** Whether the later timings are slower than what the earlier ones leave to chance. */
export function isSlower(earlier: Spread, later: Spread): boolean {
  return later.median > earlier.most && later.least > earlier.median;
}
