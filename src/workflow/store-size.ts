/** How large the stores of a migration's thick snapshots are. */

/** A part of the origin's size, or bytes. */
export type SnapshotSize = { percent: number } | { bytes: number };

/** Below this a store is soon full, whatever the origin's size. */
const MIN_BYTES = 8 * 2 ** 20;
/** An exception of 16 bytes for each chunk of 4 KiB, LVM's default, and room for the header. */
const METADATA_PART = 16 / 4096;
const HEADER_BYTES = 2 ** 20;
/** What a store is extended by, at a time. */
const EXTENSION_PART = 0.5;

/** LVM takes whole sectors, and rounds up to whole extents itself. */
const UNIT_BYTES = 64 * 1024;

function inUnits(bytes: number): number {
  return UNIT_BYTES * Math.ceil(bytes / UNIT_BYTES);
}

/** A store that holds every chunk of the origin: it cannot overflow. */
export function fullStoreBytes(originBytes: number): number {
  return inUnits(originBytes * (1 + 2 * METADATA_PART) + HEADER_BYTES);
}

/** @param overflows doubles it each */
export function storeBytes(size: SnapshotSize, originBytes: number, overflows: number): number {
  const asked =
    'bytes' in size ? size.bytes : Math.max((originBytes * size.percent) / 100, MIN_BYTES);
  return Math.min(inUnits(asked * 2 ** overflows), fullStoreBytes(originBytes));
}

/** How much a store is to grow that is so full; 0 when it can hold everything already. */
export function extensionBytes(totalBytes: number, originBytes: number): number {
  const missing = inUnits(Math.max(0, fullStoreBytes(originBytes) - totalBytes));
  return Math.min(missing, Math.max(inUnits(totalBytes * EXTENSION_PART), MIN_BYTES));
}
