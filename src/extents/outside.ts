import type { ExtentSource } from './extents.js';

/** Which of the ascending `offsets` lie in no extent. */
export function offsetsOutside(extents: ExtentSource, offsets: readonly number[]): number[] {
  const outside: number[] = [];
  let next = 0;
  for (const slice of extents.slices()) {
    for (let i = 0; i < slice.count; i++) {
      const start = slice.offsets[i]!;
      const end = start + slice.lengths[i]!;
      for (; next < offsets.length && offsets[next]! < end; next++) {
        if (offsets[next]! < start) outside.push(offsets[next]!);
      }
    }
    if (next === offsets.length) return outside;
  }
  return [...outside, ...offsets.slice(next)];
}
