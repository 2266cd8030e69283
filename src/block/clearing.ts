/** Makes ranges of an open file read as zeroes: by the kernel where it can, and else by writing. */
import { addPiece, type Batch, createBatch, type Ranges } from './batch.js';
import { createBufferPool } from './buffer-pool.js';
import type { BlockFile, Engine } from './engine.js';
import { MAX_REQUEST_BYTES } from './requests.js';

export type ClearingWay = 'zero' | 'discard';

/** What an engine can have the kernel do; ranges start and end at multiples of `alignBytes`. */
export interface KernelClearing {
  readonly alignBytes: number;
  /**
   * A thin volume gives whole chunks back, and leaves the rest of a range as it is. Anything else
   * that discards makes all of it read as zeroes.
   */
  readonly thinVolume: boolean;
  /** Resolves to what the first range that failed has failed with. */
  clear(way: ClearingWay, ranges: Ranges): Promise<string | undefined>;
}

export interface ClearingOptions extends Pick<BlockFile, 'read' | 'write'> {
  engine: Pick<Engine, 'allocate' | 'findZeroBlocks'>;
  /** Missing where everything has to be written. */
  kernel: KernelClearing | undefined;
}

/** What the kernel is asked for in one call: where it has to write, it is busy for seconds. */
const STEP_BYTES = 256 << 20;
const STEP_RANGES = 256;
/**
 * Shorter ranges are not worth a call. To zero costs less by writing, many at once: every other
 * 64 KiB of a file on ext4 took forty times as long as holes, every other 256 KiB as long. To
 * discard gives space back: no thin volume has smaller chunks.
 */
const MIN_BYTES: Readonly<Record<ClearingWay, number>> = { zero: 256 << 10, discard: 64 << 10 };
/** What is looked at for zeroes, and written where there are none. */
const BLOCK_BYTES = 4096;
const READ_BUFFERS = 2;

/** What is answered by a device, a file system or a kernel that has no such call. */
const REFUSALS: ReadonlySet<string> = new Set([
  'EOPNOTSUPP',
  'ENOTSUP',
  'EINVAL',
  'ENOTTY',
  'ENOSYS',
  'EPERM',
]);

export type Clearing = Pick<BlockFile, 'zero' | 'discard' | 'writesZeroesBelow'>;

/**
 * The ranges are within the file and do not overlap.
 *
 * @throws what `read` and `write` throw
 */
export function createClearing(options: ClearingOptions): Clearing {
  const { engine, kernel, read, write } = options;
  const refused = new Set<ClearingWay>();
  const readBuffers = createBufferPool(engine, {
    bufferBytes: MAX_REQUEST_BYTES,
    count: READ_BUFFERS,
  });
  let zeroes: Buffer | undefined;

  /** False when the kernel has not done all of it; after a refusal it is never asked again. */
  async function ask(way: ClearingWay, ranges: Ranges): Promise<boolean> {
    if (ranges.count === 0) return true;
    if (kernel === undefined || refused.has(way)) return false;
    const errno = await kernel.clear(way, ranges);
    if (errno !== undefined && REFUSALS.has(errno)) refused.add(way);
    return errno === undefined;
  }

  /** Whatever the kernel fails with, writing gets it done, or fails and says where. */
  async function zeroStep(step: Ranges): Promise<void> {
    const { middles, rest } = split(step, kernel?.alignBytes ?? 1, MIN_BYTES.zero);
    await writeZeroes((await ask('zero', middles)) ? rest : step);
  }

  async function discardStep(step: Ranges): Promise<void> {
    const { middles, rest } = split(step, kernel?.alignBytes ?? 1, MIN_BYTES.discard);
    const discarded = await ask('discard', middles);
    if (kernel?.thinVolume) return zeroWhereNeeded(step);
    await (discarded ? writeZeroes(rest) : zeroStep(step));
  }

  async function writeZeroes(ranges: Ranges): Promise<void> {
    if (ranges.count === 0) return;
    const memory = zeroes ?? engine.allocate(MAX_REQUEST_BYTES);
    zeroes = memory;
    const batch = createBatch(memory, STEP_RANGES);
    for (const [offset, length] of cut(ranges, MAX_REQUEST_BYTES)) {
      if (batch.count === STEP_RANGES) {
        await write(batch);
        batch.count = 0;
      }
      addPiece(batch, offset, length, 0);
    }
    await write(batch);
  }

  /** Reads before it writes: what a thin volume has given back would be allocated again. */
  async function zeroWhereNeeded(ranges: Ranges): Promise<void> {
    const buffer = await readBuffers.acquire();
    try {
      const batch = createBatch(buffer, buffer.length / BLOCK_BYTES);
      let used = 0;
      for (const [offset, length] of cut(ranges, MAX_REQUEST_BYTES)) {
        const lead = offset % BLOCK_BYTES;
        if (used + lead + length > buffer.length) {
          await zeroWhatIsNotZero(batch);
          batch.count = 0;
          used = 0;
        }
        addPiece(batch, offset, length, used + lead);
        used += Math.ceil((lead + length) / BLOCK_BYTES) * BLOCK_BYTES;
      }
      await zeroWhatIsNotZero(batch);
    } finally {
      readBuffers.release(buffer);
    }
  }

  /** Blocks of the buffer are blocks of the file: one across two chunks would allocate a chunk again. */
  async function zeroWhatIsNotZero(batch: Batch): Promise<void> {
    const { buffer, count, offsets, lengths, positions } = batch;
    if (count === 0) return;
    buffer.fill(0);
    await read(batch);
    const isZero = await engine.findZeroBlocks(buffer, BLOCK_BYTES);
    const found = createRanges(buffer.length / BLOCK_BYTES);
    for (let i = 0; i < count; i++) {
      const end = positions[i]! + lengths[i]!;
      for (let at = positions[i]!; at < end; ) {
        const block = Math.floor(at / BLOCK_BYTES);
        const stop = Math.min((block + 1) * BLOCK_BYTES, end);
        if (isZero[block] !== 1) addRange(found, offsets[i]! + at - positions[i]!, stop - at);
        at = stop;
      }
    }
    await writeZeroes(found);
  }

  return {
    get writesZeroesBelow() {
      // Zeroes that were written to a thin volume would take space that it need not give.
      if (kernel?.thinVolume) return 0;
      const neverAsks = kernel === undefined || refused.has('zero');
      return neverAsks ? Number.POSITIVE_INFINITY : MIN_BYTES.zero;
    },
    async zero(ranges) {
      // What a thin volume does not hold reads as zeroes: to write them would allocate it.
      const clearStep = kernel?.thinVolume ? discardStep : zeroStep;
      for (const step of steps(ranges)) await clearStep(step);
    },
    async discard(ranges) {
      for (const step of steps(ranges)) await discardStep(step);
    },
  };
}

/** The ranges, cut, in groups that together are no longer than one step. */
function* steps(ranges: Ranges): Generator<Ranges> {
  let step = createRanges(STEP_RANGES);
  let stepBytes = 0;
  for (const [offset, length] of cut(ranges, STEP_BYTES)) {
    if (step.count === STEP_RANGES || stepBytes + length > STEP_BYTES) {
      yield step;
      step = createRanges(STEP_RANGES);
      stepBytes = 0;
    }
    addRange(step, offset, length);
    stepBytes += length;
  }
  if (step.count > 0) yield step;
}

/** Offset and length of each part, cut at multiples of `unitBytes` of the device. */
function* cut(ranges: Ranges, unitBytes: number): Generator<[offset: number, length: number]> {
  for (let i = 0; i < ranges.count; i++) {
    const end = ranges.offsets[i]! + ranges.lengths[i]!;
    for (let offset = ranges.offsets[i]!; offset < end; ) {
      const length = Math.min(unitBytes - (offset % unitBytes), end - offset);
      yield [offset, length];
      offset += length;
    }
  }
}

/** What is worth asking the kernel for, and all the rest. */
function split(
  ranges: Ranges,
  alignBytes: number,
  minBytes: number,
): { middles: Ranges; rest: Ranges } {
  const middles = createRanges(ranges.count);
  const rest = createRanges(2 * ranges.count);
  for (let i = 0; i < ranges.count; i++) {
    const offset = ranges.offsets[i]!;
    const end = offset + ranges.lengths[i]!;
    const start = Math.ceil(offset / alignBytes) * alignBytes;
    const stop = end - (end % alignBytes);
    if (stop - start < minBytes) {
      addRange(rest, offset, end - offset);
      continue;
    }
    addRange(middles, start, stop - start);
    if (start > offset) addRange(rest, offset, start - offset);
    if (end > stop) addRange(rest, stop, end - stop);
  }
  return { middles, rest };
}

function createRanges(capacity: number): Ranges {
  return {
    count: 0,
    offsets: new Float64Array(capacity),
    lengths: new Uint32Array(capacity),
  };
}

function addRange(ranges: Ranges, offset: number, length: number): void {
  ranges.offsets[ranges.count] = offset;
  ranges.lengths[ranges.count] = length;
  ranges.count++;
}
