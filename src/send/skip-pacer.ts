import { nowMs } from '../clock.js';

/** How far comparing has got, in bytes. */
export interface Compared {
  /** Of which the receiver was asked. */
  askedBytes: number;
  /** Of which it has answered. */
  answeredBytes: number;
  /** Which it was found to hold. */
  heldBytes: number;
}

/** Decides whether to compare more, or to send: whichever gets rid of bytes faster. */
export interface Pacer {
  /** Waits while comparing pauses; then whether it is to go on. */
  goesOn(compared: Compared): Promise<boolean>;
  /** Sending begins. */
  pause(): void;
  /**
   * To be asked during the sending. True once, if comparing is to go on and sending to pause; then
   * comparing does.
   */
  resume(sentBytes: number, compared: Compared): boolean;
  /** Comparing is over. */
  stop(): void;
}

/** So long, in milliseconds, something is sent to see how fast that is. */
const SENDING_MS = 500;

/**
 * Comparing takes time, and saves the time to send what the target was found to hold. It goes on
 * while it has saved more than it took.
 *
 * How fast sending is cannot be told from how fast it begins: many mebibytes fit in the buffers on
 * the way. But an answer comes when all has arrived that was sent before the question, so the first
 * answer after some sending tells. Until then the link is busy, and comparing costs nothing.
 *
 * @param now a clock, in milliseconds
 */
export function createPacer(now: () => number = () => nowMs()): Pacer {
  let state: 'comparing' | 'sending' | 'stopped' = 'comparing';
  let comparedMs = 0;
  let countedUntil: number | undefined = now();
  let sendingSince = 0;
  let sentBytes = 0;
  let answeredBefore = 0;
  /** Bytes a millisecond; 0 until it has been measured. */
  let sendingRate = 0;
  let wake = () => {};

  function countTime(): void {
    const at = now();
    if (countedUntil === undefined) sendingRate = sentBytes / (at - sendingSince);
    else comparedMs += at - countedUntil;
    countedUntil = at;
  }

  function stop(): void {
    state = 'stopped';
    wake();
  }

  return {
    async goesOn({ askedBytes, answeredBytes, heldBytes }) {
      const isFirstDue = countedUntil === undefined && answeredBytes === answeredBefore;
      if (state === 'comparing' && !(isFirstDue && askedBytes > answeredBytes)) {
        countTime();
        if (heldBytes < sendingRate * comparedMs) stop();
      }
      while (state === 'sending') {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      return state === 'comparing';
    },
    pause() {
      if (state === 'stopped') return;
      countTime();
      state = 'sending';
      sendingSince = now();
    },
    resume(sent, { answeredBytes, heldBytes }) {
      if (state !== 'sending' || now() - sendingSince < SENDING_MS) return false;
      if (heldBytes === 0) {
        stop();
        return false;
      }
      state = 'comparing';
      sentBytes = sent;
      answeredBefore = answeredBytes;
      countedUntil = undefined;
      wake();
      return true;
    },
    stop,
  };
}
