const REST = 4;
const MAX_REST_MS = 200;

/**
 * How long, in milliseconds, a writer under test rests after a write: longer than that took, since a
 * slow machine has more to do than this, but not for ever where the write waited for a paused device.
 */
export function restAfter(writeMs: number, atLeastMs: number): number {
  return Math.max(atLeastMs, Math.min(MAX_REST_MS, REST * writeMs));
}
