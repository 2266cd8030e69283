/** When a migration makes another round, and when it cuts over. */

export type Step = 'round' | 'cutover' | 'stalled';

export interface Course {
  /** Rounds made, this run and those before it. */
  rounds: number;
  /** So many rounds, whatever is left then. */
  wantedRounds: number | undefined;
  maxDowntimeSeconds: number;
  bytesPerSecond: number | undefined;
  /** What was left to send before each round of this run, and what is left now: the last. */
  pendingBytes: readonly number[];
}

/** Connecting, and asking LVM and the receiver, before and after the data. */
const FIXED_SECONDS = 1;
/** Less than this tells more of the fixed part than of the rate. */
const TELLING_BYTES = 2 ** 20;
/** A round that leaves more than this part of what the best one has left does not shrink. */
const SHRUNK_PART = 0.8;
/** One such round may be chance. */
const STALLED_ROUNDS = 2;

export function nextStep(course: Course): Step {
  const { rounds, wantedRounds, maxDowntimeSeconds, pendingBytes } = course;
  if (wantedRounds !== undefined) return rounds < wantedRounds ? 'round' : 'cutover';
  const pending = pendingBytes.at(-1) ?? 0;
  const seconds = estimateSeconds(pending, course.bytesPerSecond);
  // No round makes less of nothing.
  if (pending === 0 || seconds <= maxDowntimeSeconds) return 'cutover';
  return hasStalled(pendingBytes) ? 'stalled' : 'round';
}

/** How long what is left would take to send; without a rate, nobody knows. */
export function estimateSeconds(bytes: number, bytesPerSecond: number | undefined): number {
  if (bytes === 0) return FIXED_SECONDS;
  return bytesPerSecond === undefined
    ? Number.POSITIVE_INFINITY
    : FIXED_SECONDS + bytes / bytesPerSecond;
}

/** The rate that a transfer shows, or the one before where it was too small to show any. */
export function measuredRate(
  before: number | undefined,
  bytes: number,
  seconds: number,
): number | undefined {
  if (bytes === 0 || seconds <= 0) return before;
  return before === undefined || bytes >= TELLING_BYTES ? bytes / seconds : before;
}

function hasStalled(pendingBytes: readonly number[]): boolean {
  const before = pendingBytes.slice(0, -STALLED_ROUNDS);
  const last = pendingBytes.slice(-STALLED_ROUNDS);
  if (before.length === 0) return false;
  const best = Math.min(...before);
  return last.every((bytes) => bytes > best * SHRUNK_PART);
}
