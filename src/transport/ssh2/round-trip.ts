/** How far away an SSH server is, while a receiver is being started there. */

import type { Client } from 'ssh2';
import { nowMs } from '../../clock.js';

/** The shortest counts: whatever makes one longer than the way there and back is no distance. */
const SAMPLES = 5;

/**
 * Asks the server a few times to cancel a forwarding that there is not, which it refuses by itself
 * (RFC 4254, section 7.1). A receiver's answer takes as long as its process needs to wake up.
 *
 * @param onMeasured told the shortest of all, in milliseconds, unless the connection goes before
 * @returns tells the shortest round trip so far, in milliseconds; undefined before the first
 */
export function measureRoundTrip(
  client: Pick<Client, 'unforwardIn'>,
  onMeasured: (roundTripMs: number) => void,
): () => number | undefined {
  let shortestMs: number | undefined;
  function sample(left: number): void {
    const askedAt = nowMs();
    try {
      client.unforwardIn('localhost', 1, () => {
        shortestMs = Math.min(shortestMs ?? Number.POSITIVE_INFINITY, nowMs() - askedAt);
        if (left > 1) sample(left - 1);
        else onMeasured(shortestMs);
      });
    } catch {
      // the connection is gone: who uses it will say so
    }
  }
  sample(SAMPLES);
  return () => shortestMs;
}
