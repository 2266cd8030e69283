import { nowMs } from '../clock.js';

/**
 * How long one may keep the event loop from progress, signals and connections, in milliseconds. What
 * is under way when it is over takes its time, too.
 */
const TURN_MS = 1;

/** Of all who take turns together, since they share one thread. */
let turnStart = nowMs();
const waiting: (() => void)[] = [];

/** True once the loop has waited for some milliseconds: then `await nextTurn()`. */
export function isTurnOver(): boolean {
  return nowMs() - turnStart >= TURN_MS;
}

/** One after another: each has a turn of the event loop by itself. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) endTurn();
  });
}

function endTurn(): void {
  // What an event has led to goes on in the turn of that event: the next one is another.
  setImmediate(() => setImmediate(beginTurn));
}

function beginTurn(): void {
  turnStart = nowMs();
  waiting.shift()?.();
  if (waiting.length > 0) endTurn();
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
