import { setImmediate as immediately } from 'node:timers/promises';

/**
 * How long one may keep the event loop from progress, signals and connections, in milliseconds. What
 * is under way when it is over takes its time, too.
 */
const TURN_MS = 1;

/**
 * When somebody first asked in this turn, of all who take turns together, since they share one
 * thread.
 */
let turnStart: number | undefined;

/** True once the loop has waited for so long since the first who asked: then `await nextTurn()`. */
export function isTurnOver(): boolean {
  const now = performance.now();
  if (turnStart !== undefined) return now - turnStart >= TURN_MS;
  turnStart = now;
  setImmediate(() => {
    turnStart = undefined;
  });
  return false;
}

export async function nextTurn(): Promise<void> {
  // What an event has led to goes on in the turn of that event: the next one is another.
  await immediately();
  await immediately();
}

/**
 * The items of a long list, with a turn of the event loop between them every few milliseconds. Also
 * of an asynchronous one: what comes faster than it is dealt with leaves the loop no turn either.
 */
export async function* inTurns<T>(
  items: Iterable<T> | AsyncIterable<T>,
): AsyncGenerator<T, void, void> {
  for await (const item of items) {
    if (isTurnOver()) await nextTurn();
    yield item;
  }
}
