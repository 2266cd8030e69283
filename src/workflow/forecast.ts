/** What is to be expected: how long a run takes over a link, and when a snapshot is full. */

export interface TransferEstimate {
  bitsPerSecond: number;
  /** For the changes, and for the whole volume. */
  changesSeconds: number;
  wholeSeconds: number;
}

/** What Ethernet, IP, TCP and SSH leave of a link's rate. */
const USABLE_PART = 0.94;
const RECORD_BYTES = 1 << 20;
const RECORD_HEADER_BYTES = 32;
const TABLE_ENTRY_BYTES = 8;

/** Bytes of a PROTO[4] stream of so much data. */
export function streamBytes(dataBytes: number, extentCount: number): number {
  const records = Math.ceil(dataBytes / RECORD_BYTES) + Math.ceil(extentCount / 256);
  return dataBytes + extentCount * TABLE_ENTRY_BYTES + records * RECORD_HEADER_BYTES;
}

/** Where the link is what is slow: disks, ciphers and zeroes that need not be sent are left out. */
export function estimateTransfer(
  changes: { dataBytes: number; extentCount: number },
  volumeBytes: number,
  bitsPerSecond: number,
): TransferEstimate {
  const bytesPerSecond = (bitsPerSecond * USABLE_PART) / 8;
  return {
    bitsPerSecond,
    changesSeconds: streamBytes(changes.dataBytes, changes.extentCount) / bytesPerSecond,
    wholeSeconds: streamBytes(volumeBytes, 0) / bytesPerSecond,
  };
}

export interface FillRate {
  usedBytes: number;
  totalBytes: number;
  /** How much of what is used has come within `seconds`. */
  grownBytes: number;
  seconds: number;
}

/** A younger snapshot tells nothing of what is to come. */
const MIN_AGE_SECONDS = 60;

/**
 * In how many seconds all is used, when it goes on as it did on the average.
 *
 * @returns undefined where that cannot be said: nothing has come yet, or it is too young
 */
export function forecastOverflow(fill: FillRate): number | undefined {
  const { usedBytes, totalBytes, grownBytes, seconds } = fill;
  if (grownBytes <= 0 || seconds < MIN_AGE_SECONDS) return undefined;
  return (Math.max(0, totalBytes - usedBytes) * seconds) / grownBytes;
}
