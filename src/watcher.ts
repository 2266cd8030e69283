/**
 * What a run is doing, in the usual order: connecting (which may ask for a password), reading the
 * list of changes, asking the target what it holds, finding what need not be sent, sending, waiting
 * for the target to be durable, comparing by hash. Also: running a command of the user's, applying a
 * stream, restoring from a snapback.
 */
export type Phase =
  | 'connect'
  | 'command'
  | 'scan'
  | 'check'
  | 'compare'
  | 'send'
  | 'flush'
  | 'verify'
  | 'apply'
  | 'restore';

/** What need not be sent as it is: zeroes (discards too), and what the target holds already. */
export type Saving = 'zero' | 'unchanged';

/** Told what a run does while it does it: often, so it must be quick, and must not throw. */
export interface RunWatcher {
  /** One of the rounds of a longer run begins. */
  stage(name: string): void;
  /**
   * @param totalBytes of the volume that the phase is about, where that is known
   * @param doneBytes how many of them are done before it begins
   */
  phase(phase: Phase, totalBytes?: number, doneBytes?: number): void;
  /** So many more bytes of the phase are done. */
  advance(bytes: number): void;
  /** So many bytes were not sent as data. */
  saved(saving: Saving, bytes: number): void;
  /** How full is what holds the old data of the source, from 0 to 1. */
  snapshotFill(part: number): void;
}
