import type { ExtentSource, Extents } from './extents.js';
import { inTurns } from './turns.js';

/** The part of `extents` from byte `offset` on; `offset` cuts no extent that it does not touch. */
export async function extentsFrom(extents: ExtentSource, offset: number): Promise<ExtentSource> {
  function* slices(fromOffset = 0): Generator<Extents> {
    for (const slice of extents.slices(Math.max(fromOffset, offset))) {
      let first = 0;
      while (first < slice.count && slice.offsets[first]! + slice.lengths[first]! <= offset)
        first++;
      if (first === slice.count) continue;
      const offsets = slice.offsets.slice(first, slice.count);
      const lengths = slice.lengths.slice(first, slice.count);
      const cut = Math.max(0, offset - offsets[0]!);
      offsets[0]! += cut;
      lengths[0]! -= cut;
      yield { count: offsets.length, offsets, lengths };
    }
  }
  let totalBytes = 0;
  let extentCount = 0;
  for await (const { count, lengths } of inTurns(slices())) {
    extentCount += count;
    totalBytes += sumOf(count, lengths);
  }
  return { totalBytes, extentCount, slices };
}

/** All of `first`, then all of `second`, which lies behind it. */
export function extentsOfBoth(first: ExtentSource, second: ExtentSource): ExtentSource {
  return {
    totalBytes: first.totalBytes + second.totalBytes,
    extentCount: first.extentCount + second.extentCount,
    *slices(fromOffset) {
      yield* first.slices(fromOffset);
      yield* second.slices(fromOffset);
    },
  };
}

/** Extents given as [offset, length], ascending. */
export function extentsOfList(list: readonly (readonly [number, number])[]): ExtentSource {
  const slice: Extents = {
    count: list.length,
    offsets: Float64Array.from(list, ([offset]) => offset),
    lengths: Float64Array.from(list, ([, length]) => length),
  };
  const totalBytes = sumOf(slice.count, slice.lengths);
  return { totalBytes, extentCount: slice.count, slices: () => [slice] };
}

function sumOf(count: number, lengths: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += lengths[i]!;
  return sum;
}
