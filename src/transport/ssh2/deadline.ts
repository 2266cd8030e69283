import { nowMs } from '../../clock.js';
import type { Terminal } from './terminal.js';

/** A time limit that stands still while a person is being asked. */
export interface Deadline {
  stop(): void;
  /** Asks through `terminal`, with the clock held. */
  holding(terminal: Terminal | undefined): Terminal | undefined;
}

/** Calls `onExpire` once `milliseconds` have run. */
export function startDeadline(milliseconds: number, onExpire: () => void): Deadline {
  let left = milliseconds;
  let startedAt = nowMs();
  let timer = setTimeout(onExpire, left);
  let stopped = false;
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
    holding(terminal) {
      if (terminal === undefined) return undefined;
      return {
        async ask(question, echo) {
          clearTimeout(timer);
          left -= nowMs() - startedAt;
          try {
            return await terminal.ask(question, echo);
          } finally {
            startedAt = nowMs();
            if (!stopped) timer = setTimeout(onExpire, left);
          }
        },
      };
    },
  };
}
