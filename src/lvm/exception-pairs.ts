import type { BlockFile, Engine } from '../block/engine.js';
import { readAreas, readSomeAreas } from './store-areas.js';
import { countEntries, ENTRY_WORDS } from './store-entries.js';
import { storeLayout } from './store-header.js';

/** An exception as byte offsets: where the origin's chunk is, and where its old data is stored. */
export interface ExceptionPair {
  originOffset: number;
  storeOffset: number;
}

export interface ReadPairsOptions {
  engine: Pick<Engine, 'allocate'>;
  /** As the header said when the list was read. */
  chunkBytes: number;
  /** How many exceptions to look at: those that were in the list when it was read. */
  exceptionCount: number;
  /** A sample: of so many areas, as `pickAreas` has them, a part each. Default: all. */
  sampleAreas?: number | undefined;
}

/** What is made of the list at once: the area of a large chunk takes the event loop too long. */
export const PART_EXCEPTIONS = 256;

const TWO_32 = 2 ** 32;

/**
 * The exceptions of a store with the places of their old data, in the order of the list, but each
 * part of an area ascending on the origin.
 *
 * They were on the disk when the list was read, and stay as they are: where the kernel writes their
 * area once more, with others behind them, it writes them as they were. So one reading will do, of
 * many areas at once.
 *
 * @throws LvmsyncError READ_FAILED
 */
export async function* readExceptionPairs(
  store: BlockFile,
  options: ReadPairsOptions,
): AsyncGenerator<ExceptionPair[], void, void> {
  const { engine, chunkBytes, exceptionCount, sampleAreas } = options;
  const layout = storeLayout(store, chunkBytes);
  const { entriesPerArea } = layout;
  const areaCount = Math.ceil(exceptionCount / entriesPerArea);
  const runs =
    sampleAreas === undefined || sampleAreas >= areaCount
      ? readAreas(store, layout, areaCount, { engine })
      : readSomeAreas(store, layout, pickAreas(areaCount, sampleAreas), { engine });
  for await (const run of runs) {
    for (let index = 0; index < run.areaCount; index++) {
      const start = index * entriesPerArea;
      const words = run.words.subarray(start * ENTRY_WORDS);
      const listed = exceptionCount - (run.firstArea + index) * entriesPerArea;
      const count = countEntries(words, Math.min(listed, entriesPerArea));
      const partCount = Math.ceil(count / PART_EXCEPTIONS);
      const picked = Math.floor(Math.random() * partCount);
      for (let part = 0; part < partCount; part++) {
        if (sampleAreas !== undefined && part !== picked) continue;
        const first = part * PART_EXCEPTIONS;
        const end = Math.min(first + PART_EXCEPTIONS, count);
        yield pairsOf(words.subarray(first * ENTRY_WORDS, end * ENTRY_WORDS), chunkBytes);
      }
    }
  }
}

/** Some of so many areas, ascending: one by chance of each part of the list, or all. */
export function pickAreas(areaCount: number, wantedCount: number): number[] {
  const step = Math.max(1, areaCount / wantedCount);
  return Array.from({ length: Math.min(areaCount, wantedCount) }, (_, part) => {
    const from = part * step;
    return Math.floor(from + Math.random() * Math.min(step, areaCount - from));
  });
}

function pairsOf(words: Uint32Array, chunkBytes: number): ExceptionPair[] {
  const pairs: ExceptionPair[] = [];
  for (let word = 0; word < words.length; word += ENTRY_WORDS) {
    pairs.push({
      originOffset: (words[word + 1]! * TWO_32 + words[word]!) * chunkBytes,
      storeOffset: (words[word + 3]! * TWO_32 + words[word + 2]!) * chunkBytes,
    });
  }
  return pairs.sort((a, b) => a.originOffset - b.originOffset);
}
