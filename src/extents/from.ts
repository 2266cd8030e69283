import type { ExtentSource, Extents } from './extents.js';

/** The part of `extents` from byte `offset` on; `offset` cuts no extent that it does not touch. */
export function extentsFrom(extents: ExtentSource, offset: number): ExtentSource {
  function* slices(): Generator<Extents> {
    for (const slice of extents.slices()) {
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
  return withTotals(slices);
}

/** All of `first`, then all of `second`, which lies behind it. */
export function extentsOfBoth(first: ExtentSource, second: ExtentSource): ExtentSource {
  return {
    totalBytes: first.totalBytes + second.totalBytes,
    extentCount: first.extentCount + second.extentCount,
    *slices() {
      yield* first.slices();
      yield* second.slices();
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
  return withTotals(() => [slice]);
}

function withTotals(slices: () => Iterable<Extents>): ExtentSource {
  let totalBytes = 0;
  let extentCount = 0;
  for (const { count, lengths } of slices()) {
    extentCount += count;
    for (let i = 0; i < count; i++) totalBytes += lengths[i]!;
  }
  return { totalBytes, extentCount, slices };
}
