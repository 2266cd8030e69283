/** How far a run is, from what it tells; without a clock, a terminal or a file of its own. */
import { nowMs } from '../clock.js';
import type { Phase, RunWatcher } from '../watcher.js';
import { createSmoothRate } from './rate.js';

export interface Progress {
  /** Of a run that has several: `copy`, `round 2`. */
  stage: string | undefined;
  phase: Phase;
  /** Of the phase. */
  doneBytes: number;
  /** Undefined where it is not known. */
  totalBytes: number | undefined;
  /** How fast the phase gets on now; 0 until that is known. */
  bytesPerSecond: number;
  /** Of the phase; undefined until it can be told. */
  secondsLeft: number | undefined;
  /** Of the whole run: what did not travel, being zeroes, or there already. */
  zeroBytes: number;
  unchangedBytes: number;
  /** Bytes of stream that were written, over all connections. */
  streamBytes: number;
  /** From 0 to 1. */
  snapshotFill: number | undefined;
  elapsedSeconds: number;
}

export interface ProgressModel extends RunWatcher {
  /** How far the run is now. */
  read(): Progress;
}

export interface ProgressOptions {
  /** A clock, in milliseconds. */
  now?: (() => number) | undefined;
  /** How many bytes of stream were written so far. */
  streamBytes?: (() => number) | undefined;
  /** Told of each new phase. */
  onPhase?: (() => void) | undefined;
}

export function createProgress(options: ProgressOptions = {}): ProgressModel {
  const { now = nowMs, streamBytes = () => 0, onPhase } = options;
  const startedAt = now();
  const rate = createSmoothRate(startedAt);
  let stage: string | undefined;
  let phase: Phase = 'scan';
  let doneBytes = 0;
  let totalBytes: number | undefined;
  let zeroBytes = 0;
  let unchangedBytes = 0;
  let snapshotFill: number | undefined;

  function secondsLeft(): number | undefined {
    if (totalBytes === undefined || rate.bytesPerSecond <= 0) return undefined;
    return Math.max(0, totalBytes - doneBytes) / rate.bytesPerSecond;
  }

  return {
    stage(name) {
      stage = name;
    },
    phase(next, total, done = 0) {
      phase = next;
      totalBytes = total;
      doneBytes = done;
      rate.restart(done, now());
      onPhase?.();
    },
    advance(bytes) {
      doneBytes += bytes;
    },
    saved(saving, bytes) {
      if (saving === 'zero') zeroBytes += bytes;
      else unchangedBytes += bytes;
    },
    snapshotFill(part) {
      snapshotFill = part;
    },
    read() {
      const at = now();
      rate.sample(doneBytes, at);
      return {
        ...{ stage, phase, doneBytes, totalBytes },
        bytesPerSecond: rate.bytesPerSecond,
        secondsLeft: secondsLeft(),
        ...{ zeroBytes, unchangedBytes, snapshotFill },
        streamBytes: streamBytes(),
        elapsedSeconds: (at - startedAt) / 1000,
      };
    },
  };
}
