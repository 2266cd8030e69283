import { addPiece, type Batch, createBatch, type Ranges } from '../block/batch.js';

export interface Joined {
  /** Data and short zeroes, ascending, one behind the other in the data's buffer. */
  written: Batch;
  /** The zeroes that are not among them. */
  longer: Batch;
}

/** What stands for the place of zeroes, which are nowhere yet. */
const NOWHERE = 0xffff_ffff;

/**
 * Puts zeroes between the data that they lie between on the target: what was one request to the
 * sender's disk is one to this disk, too, and not a hundred short ones. Both ascend and do not
 * overlap. Moves the data within its buffer, from the position of its first piece on.
 *
 * @param shorterThan zeroes of that many bytes or more are left out
 */
export function joinZeroes(data: Batch, zeroes: Ranges, shorterThan: number): Joined {
  const { buffer } = data;
  const written = createBatch(buffer, data.count + zeroes.count);
  const longer = createBatch(buffer, zeroes.count);
  const movedFrom = new Uint32Array(data.count + zeroes.count);
  let end = data.positions[0]!;
  let nextData = 0;
  let nextZeroes = 0;
  function append(ranges: Ranges, index: number, from: number): void {
    movedFrom[written.count] = from;
    addPiece(written, ranges.offsets[index]!, ranges.lengths[index]!, end);
    end += ranges.lengths[index]!;
  }
  while (nextData < data.count || nextZeroes < zeroes.count) {
    const isData =
      nextZeroes === zeroes.count ||
      (nextData < data.count && data.offsets[nextData]! < zeroes.offsets[nextZeroes]!);
    if (isData) {
      append(data, nextData, data.positions[nextData]!);
      nextData++;
      continue;
    }
    if (zeroes.lengths[nextZeroes]! < shorterThan) append(zeroes, nextZeroes, NOWHERE);
    else addPiece(longer, zeroes.offsets[nextZeroes]!, zeroes.lengths[nextZeroes]!, 0);
    nextZeroes++;
  }
  // From the end on: every piece moves up, into what has been moved already.
  for (let i = written.count - 1; i >= 0; i--) {
    const position = written.positions[i]!;
    const from = movedFrom[i]!;
    const length = written.lengths[i]!;
    if (from === NOWHERE) buffer.fill(0, position, position + length);
    else if (from !== position) buffer.copyWithin(position, from, from + length);
  }
  return { written, longer };
}
