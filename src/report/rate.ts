/** A rate as a person wants to read it: steady, but not for long after it has changed. */
export interface SmoothRate {
  /** @param total all bytes so far; @param at in milliseconds, never less than before */
  sample(total: number, at: number): void;
  /** Forgets what was: another kind of work begins, with `total` done. */
  restart(total: number, at: number): void;
  readonly bytesPerSecond: number;
}

/** What is this old counts a third. */
const MEMORY_MS = 5000;
/** Less time than this tells nothing. */
const MIN_INTERVAL_MS = 50;

export function createSmoothRate(at: number): SmoothRate {
  let totalBefore = 0;
  let timeBefore = at;
  let average = 0;
  /** How much of the average was measured, from 0 to 1: at the beginning little. */
  let weight = 0;

  return {
    sample(total, now) {
      const elapsed = now - timeBefore;
      if (elapsed < MIN_INTERVAL_MS) return;
      const share = 1 - Math.exp(-elapsed / MEMORY_MS);
      average += share * ((1000 * (total - totalBefore)) / elapsed - average);
      weight += share * (1 - weight);
      totalBefore = total;
      timeBefore = now;
    },
    restart(total, now) {
      totalBefore = total;
      timeBefore = now;
      average = 0;
      weight = 0;
    },
    get bytesPerSecond() {
      return weight === 0 ? 0 : average / weight;
    },
  };
}
