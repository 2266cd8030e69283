import type { ExtentSource } from './extents.js';
import { inTurns } from './turns.js';

/** Which of the ascending `offsets` lie in no extent. */
export async function offsetsOutside(
  extents: ExtentSource,
  offsets: readonly number[],
): Promise<number[]> {
  const outside: number[] = [];
  let next = 0;
  for await (const slice of inTurns(extents.slices(offsets[0]))) {
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
