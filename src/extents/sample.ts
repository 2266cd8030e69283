import type { ExtentSource, Extents } from './extents.js';
import { extentsOfList } from './from.js';

/** How much to take: so many blocks, or so many of a hundred. */
export type SampleSize = { blocks: number } | { percent: number };

/** More than this would be a list that is too long. */
export const MAX_SAMPLE_BLOCKS = 1 << 24;

/**
 * Random blocks of `extents`, spread evenly over them: of as many stretches as there are blocks to
 * take, one of each. An extent's blocks are counted from its start; its last may be shorter.
 */
export function sampleOf(
  extents: ExtentSource,
  size: SampleSize,
  blockBytes: number,
): ExtentSource {
  const blockCount = countBlocks(extents.slices(), blockBytes);
  const wanted = 'blocks' in size ? size.blocks : Math.ceil((blockCount * size.percent) / 100);
  const takeCount = Math.min(wanted, blockCount, MAX_SAMPLE_BLOCKS);
  if (takeCount === blockCount) return extents;
  const stretch = blockCount / takeCount;
  const taken: [number, number][] = [];
  let next = pick(0);
  let firstBlock = 0; // of the extent, among all
  for (const { count, offsets, lengths } of extents.slices()) {
    for (let i = 0; i < count && taken.length < takeCount; i++) {
      const endBlock = firstBlock + Math.ceil(lengths[i]! / blockBytes);
      while (next < endBlock && taken.length < takeCount) {
        const start = (next - firstBlock) * blockBytes;
        taken.push([offsets[i]! + start, Math.min(blockBytes, lengths[i]! - start)]);
        next = pick(taken.length);
      }
      firstBlock = endBlock;
    }
  }
  return extentsOfList(taken);

  function pick(index: number): number {
    const from = Math.ceil(index * stretch);
    const to = Math.ceil((index + 1) * stretch);
    return from + Math.floor(Math.random() * (to - from));
  }
}

function countBlocks(slices: Iterable<Extents>, blockBytes: number): number {
  let blocks = 0;
  for (const { count, lengths } of slices) {
    for (let i = 0; i < count; i++) blocks += Math.ceil(lengths[i]! / blockBytes);
  }
  return blocks;
}
