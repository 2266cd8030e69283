import { addPiece, createBatch } from '../block/batch.js';
import type { BlockFile, Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';

/**
 * Where things are in a persistent exception store (kernel: drivers/md/dm-snap-persistent.c).
 * Chunk 0 is the header. Then comes a metadata area of one chunk, followed by one data chunk for
 * each entry it can hold; then the next area, and so on to the end of the store.
 */
export interface StoreLayout {
  /** Size of a chunk, so also of a metadata area, in bytes. */
  readonly chunkBytes: number;
  /** Whole chunks in the store. */
  readonly storeChunks: number;
  /** Entries of 16 bytes in one area. */
  readonly entriesPerArea: number;
  /** Areas that fit in the store. */
  readonly areaCount: number;
  /** Data chunks in the store: how many exceptions it can hold. */
  readonly maxExceptions: number;
}

export interface StoreHeader {
  /** False once the store overflowed or failed: the kernel has given its contents up. */
  readonly valid: boolean;
  readonly layout: StoreLayout;
}

export const ENTRY_BYTES = 16;
/** The header chunk, chunk 0, is followed by area 0. */
const HEADER_CHUNKS = 1;

const HEADER_BYTES = 16;
const MAGIC = 0x70416e53; // "SnAp", little-endian
const VERSION = 1;
const SECTOR_BYTES = 512;
/** LVM goes from 4 KiB to 512 KiB; the kernel takes any power of two that fits its memory. */
const MIN_CHUNK_BYTES = 512;
const MAX_CHUNK_BYTES = 16 * 2 ** 20;

/** Bytes from the start of the store to area `area`. */
export function areaOffset(layout: StoreLayout, area: number): number {
  return (HEADER_CHUNKS + area * (layout.entriesPerArea + 1)) * layout.chunkBytes;
}

/** What the kernel counts as used of a store that holds so many exceptions: header, areas, data. */
export function usedStoreBytes(exceptionCount: number, chunkBytes: number): number {
  // The next area is taken as soon as the one before is full.
  const areas = Math.floor(exceptionCount / (chunkBytes / ENTRY_BYTES)) + 1;
  return (HEADER_CHUNKS + areas + exceptionCount) * chunkBytes;
}

/**
 * Reads and checks the header, for everything but its valid flag.
 *
 * @throws LvmsyncError STORE_NOT_A_STORE, STORE_DAMAGED, SNAPSHOT_UNSUPPORTED, READ_FAILED
 */
export async function readStoreHeader(
  store: BlockFile,
  engine: Pick<Engine, 'allocate'>,
): Promise<StoreHeader> {
  if (store.sizeBytes < MIN_CHUNK_BYTES) {
    throw notAStore(store, `it is only ${store.sizeBytes} bytes long`);
  }
  const batch = createBatch(engine.allocate(Math.max(MIN_CHUNK_BYTES, store.blockBytes)), 1);
  addPiece(batch, 0, Math.min(batch.buffer.length, store.sizeBytes), 0);
  await store.read(batch);
  return parseStoreHeader(batch.buffer.subarray(0, HEADER_BYTES), store);
}

function parseStoreHeader(header: Buffer, store: BlockFile): StoreHeader {
  const magic = header.readUInt32LE(0);
  const valid = header.readUInt32LE(4);
  const version = header.readUInt32LE(8);
  const chunkBytes = header.readUInt32LE(12) * SECTOR_BYTES;
  if (magic === 0) {
    throw notAStore(store, 'its header is blank, so no snapshot has ever used it');
  }
  if (magic !== MAGIC) {
    throw notAStore(store, `it starts with ${header.toString('hex', 0, 4)} instead of 536e4170`);
  }
  if (version !== VERSION) {
    throw new LvmsyncError(
      'SNAPSHOT_UNSUPPORTED',
      `${store.path} is an exception store of version ${version}; lvmsync knows version ${VERSION}`,
      { path: store.path, offset: 8, hint: 'look for a newer lvmsync' },
    );
  }
  const isPowerOfTwo = Number.isInteger(Math.log2(chunkBytes));
  if (!isPowerOfTwo || chunkBytes < MIN_CHUNK_BYTES || chunkBytes > MAX_CHUNK_BYTES) {
    throw damagedHeader(
      store,
      `its chunk size is ${chunkBytes} bytes, not a power of two from 512 bytes to 16 MiB`,
    );
  }
  return { valid: valid === 1, layout: storeLayout(store, chunkBytes) };
}

/** Of a store whose header says so. @throws LvmsyncError STORE_DAMAGED when it is too small */
export function storeLayout(store: BlockFile, chunkBytes: number): StoreLayout {
  const entriesPerArea = chunkBytes / ENTRY_BYTES;
  const storeChunks = Math.floor(store.sizeBytes / chunkBytes);
  const areaCount = Math.ceil((storeChunks - HEADER_CHUNKS) / (entriesPerArea + 1));
  if (areaCount < 1) {
    throw damagedHeader(
      store,
      `its chunk size is ${chunkBytes} bytes, but it has only ${store.sizeBytes} bytes`,
    );
  }
  const maxExceptions = storeChunks - HEADER_CHUNKS - areaCount;
  return { chunkBytes, storeChunks, entriesPerArea, areaCount, maxExceptions };
}

function notAStore(store: BlockFile, reason: string): LvmsyncError {
  return new LvmsyncError('STORE_NOT_A_STORE', `${store.path} is no exception store: ${reason}`, {
    path: store.path,
    offset: 0,
    hint: "name the snapshot's COW device (for LVM, /dev/mapper/VG-SNAPSHOT-cow)",
  });
}

function damagedHeader(store: BlockFile, reason: string): LvmsyncError {
  return new LvmsyncError(
    'STORE_DAMAGED',
    `the exception store ${store.path} is damaged: ${reason}`,
    {
      path: store.path,
      offset: 12,
      hint: 'do not trust this snapshot: take a new one and copy the whole volume',
    },
  );
}
