import type { Batch } from './batch.js';

/** One system call's worth of a batch. */
export interface Request {
  /** Byte offset on the device. */
  offset: number;
  /** Bytes; never 0, at most `MAX_REQUEST_BYTES`. */
  length: number;
  /** Where the bytes are in the batch's buffer. */
  position: number;
}

/** Larger requests gain nothing; smaller ones run side by side. */
export const MAX_REQUEST_BYTES = 1024 * 1024;

/**
 * Joins neighbouring pieces that continue both on the device and in the buffer, and cuts at
 * multiples of `MAX_REQUEST_BYTES` on the device, so that a cut never makes an unaligned edge.
 */
export function planRequests(batch: Batch): Request[] {
  const { offsets, lengths, positions, count } = batch;
  const requests: Request[] = [];
  for (let index = 0; index < count; ) {
    const offset = offsets[index]!;
    const position = positions[index]!;
    let length = 0;
    do {
      length += lengths[index++]!;
    } while (
      index < count &&
      offsets[index] === offset + length &&
      positions[index] === position + length
    );
    cutRun(requests, offset, length, position);
  }
  return requests;
}

function cutRun(requests: Request[], offset: number, length: number, position: number): void {
  for (let done = 0; done < length; ) {
    const start = offset + done;
    const room = MAX_REQUEST_BYTES - (start % MAX_REQUEST_BYTES);
    const taken = Math.min(room, length - done);
    requests.push({ offset: start, length: taken, position: position + done });
    done += taken;
  }
}
