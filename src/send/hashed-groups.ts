/** Reads extents ahead and hashes them, as many together as one CHECK asks about. */
import { addPiece, type Batch, createBatch } from '../block/batch.js';
import type { BlockFile, Engine } from '../block/engine.js';
import { bufferCount } from '../block/io-limits.js';
import type { ExtentSource } from '../extents/extents.js';
import { createPieceCursor } from '../extents/piece-cursor.js';
import { isTurnOver, nextTurn } from '../extents/turns.js';
import { fitsTable, MAX_PAYLOAD_BYTES, MAX_RECORD_EXTENTS } from '../stream/proto4.js';
import type { CheckGroup } from './compare.js';

export interface HashedOptions {
  extents: Pick<ExtentSource, 'slices'>;
  /** What has a hash of its own: pieces of so many bytes, at the most `MAX_PAYLOAD_BYTES`. */
  pieceBytes: number;
  data: Pick<BlockFile, 'read'>;
  engine: Engine;
}

/** The groups ascend. @throws what the engine throws */
export async function* hashedGroups(options: HashedOptions): AsyncGenerator<CheckGroup> {
  const { data, engine } = options;
  const buffers = bufferCount(engine.limits, MAX_PAYLOAD_BYTES);
  const free: Batch[] = [];
  const inFlight: { extents: Batch; hashes: Promise<Buffer> }[] = [];
  const groups = groupLayout(options);

  async function readAndHash(extents: Batch): Promise<Buffer> {
    await data.read(extents);
    return engine.hashPieces(extents);
  }

  function start(): boolean {
    const extents =
      free.pop() ?? createBatch(engine.allocate(MAX_PAYLOAD_BYTES), MAX_RECORD_EXTENTS);
    if (!groups.layOut(extents)) return false;
    const hashes = readAndHash(extents);
    hashes.catch(() => undefined); // met when its turn comes
    inFlight.push({ extents, hashes });
    return true;
  }

  let more = true;
  try {
    for (;;) {
      while (more && inFlight.length < buffers) {
        if (isTurnOver()) await nextTurn();
        more = start();
      }
      const oldest = inFlight[0];
      if (oldest === undefined) return;
      const { extents } = oldest;
      const hashes = await oldest.hashes;
      inFlight.shift();
      yield { extents, hashes };
      free.push(extents);
    }
  } finally {
    await Promise.allSettled(inFlight.map(({ hashes }) => hashes));
    for (const { buffer } of free) engine.release?.(buffer);
  }
}

interface GroupLayout {
  /** Lays out the next pieces; false when there are none left. */
  layOut(batch: Batch): boolean;
}

function groupLayout({ extents, pieceBytes }: HashedOptions): GroupLayout {
  const pieces = createPieceCursor(extents);
  let more = pieces.take(pieceBytes);
  return {
    layOut(batch) {
      batch.count = 0;
      let position = 0;
      let previousEnd = pieces.offset;
      while (more && batch.count < MAX_RECORD_EXTENTS) {
        const { offset, length } = pieces;
        if (position + length > MAX_PAYLOAD_BYTES || !fitsTable(previousEnd, offset)) break;
        addPiece(batch, offset, length, position);
        position += length;
        previousEnd = offset + length;
        more = pieces.take(pieceBytes);
      }
      return batch.count > 0;
    },
  };
}
