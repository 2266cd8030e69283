import type { BlockFile, Engine } from '../block/engine.js';
import { createSettledReader } from './store-areas.js';
import { readStoreHeader } from './store-header.js';

/** An exception as byte offsets: where the origin's chunk is, and where its old data is stored. */
export interface ExceptionPair {
  originOffset: number;
  storeOffset: number;
}

export interface ReadPairsOptions {
  engine: Pick<Engine, 'allocate'>;
  /** How many exceptions to look at: those that were in the list when it was read. */
  exceptionCount: number;
  /** Read only so many areas, spread over the list by `random`. Default: all. */
  sampleAreas?: number | undefined;
  /** From 0 to below 1. */
  random?: (() => number) | undefined;
}

const TWO_32 = 2 ** 32;
const WORDS_PER_ENTRY = 4;

/**
 * The exceptions of a store with the places of their old data, a metadata area at a time, each
 * ascending on the origin.
 *
 * @throws LvmsyncError as `readExceptions`
 */
export async function* readExceptionPairs(
  store: BlockFile,
  options: ReadPairsOptions,
): AsyncGenerator<ExceptionPair[], void, void> {
  const { engine, exceptionCount, sampleAreas, random = Math.random } = options;
  const { layout } = await readStoreHeader(store, engine);
  const { entriesPerArea, chunkBytes } = layout;
  const readArea = createSettledReader(store, layout, { engine });
  const areaCount = Math.ceil(exceptionCount / entriesPerArea);
  const step = sampleAreas === undefined ? 1 : Math.max(1, areaCount / sampleAreas);
  for (let from = 0; from < areaCount; from += step) {
    const area = step === 1 ? from : Math.floor(from + random() * Math.min(step, areaCount - from));
    const { words, entryCount } = await readArea(area);
    const count = Math.min(entryCount, exceptionCount - area * entriesPerArea);
    const pairs: ExceptionPair[] = [];
    for (let word = 0; word < count * WORDS_PER_ENTRY; word += WORDS_PER_ENTRY) {
      pairs.push({
        originOffset: (words[word + 1]! * TWO_32 + words[word]!) * chunkBytes,
        storeOffset: (words[word + 3]! * TWO_32 + words[word + 2]!) * chunkBytes,
      });
    }
    yield pairs.sort((a, b) => a.originOffset - b.originOffset);
  }
}
