import { setImmediate } from 'node:timers/promises';

/** How long one may keep the event loop from progress, signals and connections, in milliseconds. */
const TURN_MS = 3;

/** Where work that takes long lets the event loop have its turns. */
export interface Turns {
  /** True once the loop has waited for some milliseconds: then `await next()`. */
  isOver(): boolean;
  next(): Promise<void>;
}

export function createTurns(): Turns {
  let turnStart = performance.now();
  return {
    isOver: () => performance.now() - turnStart >= TURN_MS,
    async next() {
      await setImmediate();
      turnStart = performance.now();
    },
  };
}

/**
 * The items of a long list, with a turn of the event loop between them every few milliseconds. Also
 * of an asynchronous one: what comes faster than it is dealt with leaves the loop no turn either.
 */
export async function* inTurns<T>(
  items: Iterable<T> | AsyncIterable<T>,
): AsyncGenerator<T, void, void> {
  const turns = createTurns();
  for await (const item of items) {
    if (turns.isOver()) await turns.next();
    yield item;
  }
}
