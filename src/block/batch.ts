/** Ranges of a device or file. */
export interface Ranges {
  /** How many are in use, from index 0. */
  count: number;
  /** Byte offset of each on the device. */
  readonly offsets: Float64Array;
  /** Length of each in bytes; never 0. */
  readonly lengths: Uint32Array;
}

/**
 * A batch: many pieces of one device or file, and where each lies in one buffer. It is what an
 * engine reads or writes in a single call, so that a crossing into native code is paid once for
 * hundreds of chunks. Plain typed arrays: nothing is allocated per piece.
 */
export interface Batch extends Ranges {
  /** Where the bytes are. Page-aligned memory from `Engine.allocate` saves the engine a copy. */
  readonly buffer: Buffer;
  /** Where each piece starts in `buffer`, in bytes. Pieces do not overlap in the buffer. */
  readonly positions: Uint32Array;
}

/** An empty batch over `buffer` with room for `capacity` pieces. */
export function createBatch(buffer: Buffer, capacity: number): Batch {
  return {
    buffer,
    count: 0,
    offsets: new Float64Array(capacity),
    lengths: new Uint32Array(capacity),
    positions: new Uint32Array(capacity),
  };
}

/** Appends a piece; the caller has checked that there is room. */
export function addPiece(batch: Batch, offset: number, length: number, position: number): void {
  const index = batch.count++;
  batch.offsets[index] = offset;
  batch.lengths[index] = length;
  batch.positions[index] = position;
}
