import { LvmsyncError } from '../errors.js';

/**
 * What `dmsetup table` and `dmsetup status` print of one device. The words after the target's name
 * are the kernel's: snapshot.rst and thin-provisioning.rst in Documentation/admin-guide/device-mapper.
 */

/** One target of a device: where it is in the device, and its own words. */
export interface DmTarget {
  startSectors: number;
  lengthSectors: number;
  /** `snapshot`, `linear`, ... */
  type: string;
  words: readonly string[];
}

/** A `snapshot` target: `REAL COW P|PO|N CHUNK ...`. */
export interface SnapshotTable {
  /** `MAJOR:MINOR` of the device that holds the origin's data. */
  realDevice: string;
  /** `MAJOR:MINOR` of the exception store. */
  storeDevice: string;
  /** False for a transient store (`N`), which keeps its list in memory only. */
  persistent: boolean;
  chunkSectors: number;
}

/** What a `snapshot` target says of itself. */
export type SnapshotUsage =
  | { state: 'active'; allocatedSectors: number; totalSectors: number; metadataSectors: number }
  | { state: 'invalid' | 'overflow' | 'merge-failed' | 'unknown' };

/** A `thin` target: `POOL ID [EXTERNAL-ORIGIN]`. */
export interface ThinTable {
  /** `MAJOR:MINOR` of the pool. */
  poolDevice: string;
  /** The pool's own number of the volume. */
  thinId: number;
  /** Whether what is not mapped is read from another device, and so is not zeroes. */
  hasExternalOrigin: boolean;
}

/** A `thin-pool` target: `METADATA DATA CHUNK ...`. */
export interface PoolTable {
  /** `MAJOR:MINOR` of the device that holds the metadata. */
  metadataDevice: string;
  chunkSectors: number;
}

/** What a `thin-pool` target says of itself. */
export interface PoolUsage {
  /** The kernel's own word: `rw`, `ro`, `out_of_data_space`, `Fail`, `Error`. */
  mode: string;
  /** Whether the kernel has found its metadata wanting. */
  needsCheck: boolean;
  /** Counts LVM's changes to the pool; undefined of a pool that failed. */
  transaction: number | undefined;
  /** The metadata block of the metadata snapshot, while there is one. */
  heldRoot: number | undefined;
}

const DEVICE = /^\d+:\d+$/;

/**
 * The targets of one device, from `dmsetup table -j MAJ -m MIN` or `dmsetup status` of the same.
 *
 * @throws LvmsyncError TOOL_FAILED when that is not what it is
 */
export function parseTargets(text: string): DmTarget[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.map((line) => {
    const [start, length, type, ...words] = line.trim().split(/\s+/);
    if (type === undefined) throw unreadable(line);
    return {
      startSectors: parseCount(start, line),
      lengthSectors: parseCount(length, line),
      type,
      words,
    };
  });
}

/** @throws LvmsyncError TOOL_FAILED */
export function parseSnapshotTable({ words }: DmTarget): SnapshotTable {
  const line = words.join(' ');
  const [realDevice, storeDevice, kind, chunk] = words;
  if (kind !== 'P' && kind !== 'PO' && kind !== 'N') throw unreadable(line);
  return {
    realDevice: parseDevice(realDevice, line),
    storeDevice: parseDevice(storeDevice, line),
    persistent: kind !== 'N',
    chunkSectors: parseCount(chunk, line),
  };
}

/** The device under a `snapshot-origin`. @throws LvmsyncError TOOL_FAILED */
export function parseOriginTable({ words }: DmTarget): string {
  return parseDevice(words[0], words.join(' '));
}

const STATE_WORDS: Record<string, Exclude<SnapshotUsage['state'], 'active'>> = {
  Invalid: 'invalid',
  'Merge failed': 'merge-failed',
  Overflow: 'overflow',
  Unknown: 'unknown',
};

/** @throws LvmsyncError TOOL_FAILED */
export function parseSnapshotUsage({ words }: DmTarget): SnapshotUsage {
  const line = words.join(' ');
  const state = STATE_WORDS[line];
  if (state !== undefined) return { state };
  const match = /^(\d+)\/(\d+) (\d+)$/.exec(line);
  if (!match) throw unreadable(line);
  return {
    state: 'active',
    allocatedSectors: parseCount(match[1], line),
    totalSectors: parseCount(match[2], line),
    metadataSectors: parseCount(match[3], line),
  };
}

/** @throws LvmsyncError TOOL_FAILED */
export function parseThinTable({ words }: DmTarget): ThinTable {
  const line = words.join(' ');
  return {
    poolDevice: parseDevice(words[0], line),
    thinId: parseCount(words[1], line),
    hasExternalOrigin: words.length > 2,
  };
}

/** @throws LvmsyncError TOOL_FAILED */
export function parsePoolTable({ words }: DmTarget): PoolTable {
  const line = words.join(' ');
  const chunkSectors = parseCount(words[2], line);
  if (chunkSectors === 0) throw unreadable(line);
  return { metadataDevice: parseDevice(words[0], line), chunkSectors };
}

/** @throws LvmsyncError TOOL_FAILED */
export function parsePoolUsage({ words }: DmTarget): PoolUsage {
  const line = words.join(' ');
  if (words.length === 1) {
    return { mode: line, needsCheck: false, transaction: undefined, heldRoot: undefined };
  }
  const [transaction, , , heldRoot, mode] = words;
  if (mode === undefined) throw unreadable(line);
  return {
    mode,
    needsCheck: words.includes('needs_check'),
    transaction: parseCount(transaction, line),
    heldRoot: heldRoot === '-' ? undefined : parseCount(heldRoot, line),
  };
}

function parseDevice(word: string | undefined, line: string): string {
  if (word === undefined || !DEVICE.test(word)) throw unreadable(line);
  return word;
}

function parseCount(word: string | undefined, line: string): number {
  const count = word !== undefined && /^\d+$/.test(word) ? Number(word) : Number.NaN;
  if (!Number.isSafeInteger(count)) throw unreadable(line);
  return count;
}

function unreadable(line: string): LvmsyncError {
  const shown = line.length > 100 ? `${line.slice(0, 100)}...` : line;
  return new LvmsyncError('TOOL_FAILED', `dmsetup printed what lvmsync cannot read: ${shown}`, {
    hint: 'report it, with your kernel and LVM versions',
  });
}
