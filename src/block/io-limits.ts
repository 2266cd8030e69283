import { LvmsyncError } from '../errors.js';

/** What one end has in flight at the most. */
export interface IoLimits {
  /**
   * Requests to devices at a time, of all files together. Threads do 16 at the most, and the js
   * engine no more than libuv has threads.
   */
  readonly queueDepth: number;
  /** Bytes of the buffers that data passes through. */
  readonly bufferMemoryBytes: number;
}

export interface LimitRange {
  readonly min: number;
  readonly max: number;
  readonly default: number;
}

const MIB = 1024 * 1024;

/** Where random reads of 4 KiB stop getting faster is 128. */
export const QUEUE_DEPTH: LimitRange = { min: 1, max: 1024, default: 128 };
/**
 * Twelve buffers of a record each keep disk, cipher and disk busy at once, also while one of them stands
 * still for some milliseconds; two are the fewest.
 */
export const BUFFER_MEMORY: LimitRange = { min: 9 * MIB, max: 256 * MIB, default: 49 * MIB };

/** @throws LvmsyncError USAGE for a number out of its range */
export function completeLimits(wanted: Partial<IoLimits>): IoLimits {
  const { queueDepth = QUEUE_DEPTH.default, bufferMemoryBytes = BUFFER_MEMORY.default } = wanted;
  assertWithin('the queue depth', queueDepth, QUEUE_DEPTH);
  assertWithin('the buffer memory', bufferMemoryBytes, BUFFER_MEMORY);
  return { queueDepth, bufferMemoryBytes };
}

/** How many buffers of a size the memory is enough for; the smallest there can be holds two. */
export function bufferCount({ bufferMemoryBytes }: IoLimits, bufferBytes: number): number {
  return Math.max(2, Math.floor(bufferMemoryBytes / bufferBytes));
}

function assertWithin(what: string, value: number, { min, max }: LimitRange): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new LvmsyncError('USAGE', `${what} is ${value}`, {
    hint: `it is a whole number from ${min} to ${max}`,
  });
}
