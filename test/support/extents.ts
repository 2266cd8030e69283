import type { ExtentSource } from '#lvmsync/extents/extents.js';

/** All extents of a source as [offset, length], for comparing in tests. */
export function listExtents(source: ExtentSource, fromOffset?: number): [number, number][] {
  const list: [number, number][] = [];
  for (const slice of source.slices(fromOffset)) {
    for (let index = 0; index < slice.count; index++) {
      list.push([slice.offsets[index]!, slice.lengths[index]!]);
    }
  }
  return list;
}

/** What a set of chunks must come out as, worked out the slow and obvious way. */
export function expectedExtents(
  chunks: Iterable<number>,
  chunkBytes: number,
  volumeBytes: number,
): [number, number][] {
  const list: [number, number][] = [];
  for (const chunk of [...chunks].sort((left, right) => left - right)) {
    const offset = chunk * chunkBytes;
    const length = Math.min(chunkBytes, volumeBytes - offset);
    const last = list.at(-1);
    if (last !== undefined && last[0] + last[1] === offset) last[1] += length;
    else list.push([offset, length]);
  }
  return list;
}

export function sumLengths(extents: readonly (readonly [number, number])[]): number {
  return extents.reduce((total, [, length]) => total + length, 0);
}
