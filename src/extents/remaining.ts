import type { ExtentSource, Extents } from './extents.js';

/** Extents out of which blocks can be taken while they are being handed out. */
export interface Remaining {
  /** What remains, ascending, decided no sooner than it is asked for. To be called once. */
  slices(): Iterable<Extents>;
  /**
   * Takes out whole blocks of the extents; the volume's last block may be shorter.
   *
   * @returns how many bytes that were: 0 when it is too late
   */
  remove(offset: number, length: number): number;
  /** Nothing below it will be handed out any more. */
  readonly frontier: number;
}

/** Blocks whose flags are one piece of memory, dropped when they have been handed out. */
const WINDOW_BLOCKS = 4096;
/** So many are looked at at a time, and are enough for a slice: the sooner, the less is known. */
const STEP_BLOCKS = 256;
/** At the most every other block remains. */
const STEP_EXTENTS = STEP_BLOCKS / 2 + 1;
const SLICE_EXTENTS = 4 * STEP_EXTENTS;

/** @param blockBytes what can be taken out, counted from offset 0 */
export function createRemaining(extents: ExtentSource, blockBytes: number): Remaining {
  const windowBytes = WINDOW_BLOCKS * blockBytes;
  const stepBytes = STEP_BLOCKS * blockBytes;
  /** By number of the window, a bit for each block: whether it was taken out. */
  const removed = new Map<number, Uint32Array>();
  let frontier = 0;
  const slice = emptySlice();
  let sliceBytes = 0;

  function* slices(): Generator<Extents> {
    let window = 0;
    for (const { count, offsets, lengths } of extents.slices()) {
      for (let i = 0; i < count; i++) {
        const end = offsets[i]! + lengths[i]!;
        for (let offset = offsets[i]!; offset < end; offset = frontier) {
          const inWindow = Math.floor(offset / windowBytes);
          if (inWindow !== window) removed.delete(window);
          window = inWindow;
          frontier = Math.min(end, (window + 1) * windowBytes, offset + stepBytes);
          take(window * windowBytes, removed.get(window), offset);
          const isFull = slice.count + STEP_EXTENTS > SLICE_EXTENTS;
          if (isFull || sliceBytes >= stepBytes) yield takeSlice();
        }
      }
    }
    frontier = Number.POSITIVE_INFINITY;
    removed.clear();
    if (slice.count > 0) yield takeSlice();
  }

  /** Adds what remains from `from` to the frontier, both in the window that starts at `start`. */
  function take(start: number, flags: Uint32Array | undefined, from: number): void {
    if (flags === undefined) {
      add(from, frontier);
      return;
    }
    const end = Math.ceil((frontier - start) / blockBytes);
    let block = findFlag(flags, Math.floor((from - start) / blockBytes), end, 0);
    while (block < end) {
      const blockAfter = findFlag(flags, block, end, 1);
      const first = Math.max(from, start + block * blockBytes);
      add(first, Math.min(frontier, start + blockAfter * blockBytes));
      block = findFlag(flags, blockAfter, end, 0);
    }
  }

  function add(start: number, end: number): void {
    slice.offsets[slice.count] = start;
    slice.lengths[slice.count] = end - start;
    slice.count++;
    sliceBytes += end - start;
  }

  function takeSlice(): Extents {
    const full = { ...slice };
    slice.count = 0;
    sliceBytes = 0;
    return full;
  }

  return {
    slices,
    remove(offset, length) {
      if (offset < frontier) return 0;
      const end = offset + length;
      for (let at = offset; at < end; at += blockBytes) {
        const window = Math.floor(at / windowBytes);
        let flags = removed.get(window);
        if (flags === undefined) {
          flags = new Uint32Array(WINDOW_BLOCKS / 32);
          removed.set(window, flags);
        }
        const block = (at - window * windowBytes) / blockBytes;
        flags[block >>> 5]! |= 1 << (block & 31);
      }
      return length;
    },
    get frontier() {
      return frontier;
    },
  };
}

/** The first block from `from` on whose flag is `flag`; `end` when there is none before. */
function findFlag(flags: Uint32Array, from: number, end: number, flag: 0 | 1): number {
  const noneInWord = flag === 1 ? 0 : 0xffff_ffff;
  let block = from;
  while (block < end) {
    const word = flags[block >>> 5]!;
    if ((block & 31) === 0 && word === noneInWord) block += 32;
    else if (((word >>> (block & 31)) & 1) === flag) return block;
    else block++;
  }
  return end;
}

function emptySlice(): Extents {
  return {
    count: 0,
    offsets: new Float64Array(SLICE_EXTENTS),
    lengths: new Float64Array(SLICE_EXTENTS),
  };
}
