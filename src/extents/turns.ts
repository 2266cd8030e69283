import { setImmediate } from 'node:timers/promises';

/** How long one may keep the event loop from progress, signals and connections, in milliseconds. */
const TURN_MS = 3;

/**
 * The items of a long list, with a turn of the event loop between them every few milliseconds. Also
 * of an asynchronous one: what comes faster than it is dealt with leaves the loop no turn either.
 */
export async function* inTurns<T>(
  items: Iterable<T> | AsyncIterable<T>,
): AsyncGenerator<T, void, void> {
  let turnStart = performance.now();
  for await (const item of items) {
    if (performance.now() - turnStart >= TURN_MS) {
      await setImmediate();
      turnStart = performance.now();
    }
    yield item;
  }
}
