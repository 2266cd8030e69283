import { nowMs } from '../clock.js';

/** How fast a run may send, over all of its links together, and how much it has sent. */
export interface Bandwidth {
  /** Bytes a second; 0: no limit. */
  readonly bytesPerSecond: number;
  /** Bytes of stream that were let through so far. */
  readonly passedBytes: number;
  /** Holds from now on, also for what is waiting. */
  limit(bytesPerSecond: number): void;
  /** Counts bytes that are written at once, as they may while there is no limit. */
  pass(bytes: number): void;
  /**
   * Waits until some bytes may be written, in the order of the calls.
   *
   * @returns how many of those wanted, which are counted: 1 at the least
   */
  take(wantedBytes: number): Promise<number>;
}

/** So much time's worth goes at once: short enough to be smooth, and for timers long enough. */
const PIECE_SECONDS = 0.05;
const MIN_PIECE_BYTES = 512;
/** What was not used of so long may be made up for, since timers come late. */
const BURST_MS = 50;

export interface BandwidthOptions {
  bytesPerSecond?: number | undefined;
  /** A clock, in milliseconds. */
  now?: (() => number) | undefined;
}

export function createBandwidth(options: BandwidthOptions = {}): Bandwidth {
  const { now = () => nowMs() } = options;
  let { bytesPerSecond = 0 } = options;
  let passedBytes = 0;
  /** When what was let through is paid for. */
  let freeAt = 0;
  let last: Promise<unknown> = Promise.resolve();
  let wake = () => {};

  function sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async function admit(wantedBytes: number): Promise<number> {
    while (bytesPerSecond > 0 && freeAt > now()) await sleep(freeAt - now());
    let bytes = wantedBytes;
    if (bytesPerSecond > 0) {
      const pieceBytes = Math.max(MIN_PIECE_BYTES, Math.floor(bytesPerSecond * PIECE_SECONDS));
      bytes = Math.min(wantedBytes, pieceBytes);
      freeAt = Math.max(freeAt, now() - BURST_MS) + (1000 * bytes) / bytesPerSecond;
    }
    passedBytes += bytes;
    return bytes;
  }

  return {
    get bytesPerSecond() {
      return bytesPerSecond;
    },
    get passedBytes() {
      return passedBytes;
    },
    limit(limit) {
      bytesPerSecond = limit;
      freeAt = now();
      wake();
    },
    pass(bytes) {
      passedBytes += bytes;
    },
    take(wantedBytes) {
      const admitted = last.then(() => admit(wantedBytes));
      last = admitted;
      return admitted;
    },
  };
}
