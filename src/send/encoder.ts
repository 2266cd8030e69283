import type { Batch } from '../block/batch.js';
import type { BlockFile } from '../block/engine.js';

/** Most pieces in one buffer: a mebibyte of 4 KiB chunks. */
export const BATCH_PIECES = 256;

/** What a buffer became: the bytes to send, in order, and what they carry. */
export interface Sealed {
  bytes: Buffer[];
  recordCount: number;
  /** Sum of the lengths of the records' extents. */
  dataBytes: number;
  /** Those of them whose bytes do not travel: zeroes and discards. */
  zeroBytes: number;
  /** The end of the last extent. */
  endOffset: number;
}

/** Turns extents into records of one protocol, a buffer at a time. */
export interface Encoder {
  /** How large a buffer has to be. */
  readonly bufferBytes: number;
  /** Lays out the next pieces in the batch's buffer; false when none are left. */
  layOut(batch: Batch): boolean;
  /** Makes records of a batch whose pieces `source` has been read into. */
  seal(batch: Batch): Promise<Sealed>;
}

/** Where the data of the extents is read. */
export type Source = Pick<BlockFile, 'read'>;
