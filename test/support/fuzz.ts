import assert from 'node:assert/strict';
import type { Engine } from '#lvmsync/block/engine.js';
import { createRandom, type Random } from './random.js';

/** How many cases all fuzz tests run together: a slice by default, `scripts/fuzz` runs more. */
const CASES = Number(process.env.LVMSYNC_FUZZ_CASES ?? 10_000);

/** The most that a single case may take before it counts as a hang. */
const HANG_MS = 60_000;

/** A buffer of 1 MiB with room for header and table, and what one case may allocate of them. */
const LARGEST_BUFFER_BYTES = (4 << 20) + 12_288;
const MOST_BUFFERS = 14;

export function fuzzCases(share: number): number {
  return Math.ceil(CASES * share);
}

/**
 * Runs cases 1 to `count`; each tells how it ended. A failure names its seed, and nothing waits
 * for a case that hangs.
 */
export async function runCases(
  count: number,
  run: (seed: number) => Promise<string>,
): Promise<Map<string, number>> {
  const outcomes = new Map<string, number>();
  for (let seed = 1; seed <= count; seed++) {
    let timer: NodeJS.Timeout | undefined;
    const hang = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('it hangs')), HANG_MS);
    });
    try {
      const outcome = await Promise.race([run(seed), hang]);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    } catch (error) {
      throw new Error(`seed ${seed}: ${error}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }
  return outcomes;
}

/** The engine, refusing to allocate more than a peer may make it. To be renewed for each case. */
export function boundedEngine(engine: Engine): Engine {
  let buffers = 0;
  return {
    ...engine,
    allocate(bytes) {
      buffers++;
      assert.ok(bytes <= LARGEST_BUFFER_BYTES, `${bytes} bytes are allocated at once`);
      assert.ok(buffers <= MOST_BUFFERS, 'too many buffers are allocated');
      return engine.allocate(bytes);
    },
  };
}

/** Fails the test that makes Node itself allocate more than a peer may make it. */
export function boundBuffers(): () => void {
  const { alloc, allocUnsafe } = Buffer;
  const bounded =
    (allocate: (bytes: number) => Buffer) =>
    (bytes: number): Buffer => {
      assert.ok(bytes <= LARGEST_BUFFER_BYTES, `${bytes} bytes are allocated at once`);
      return allocate(bytes);
    };
  Buffer.alloc = bounded(alloc) as typeof Buffer.alloc;
  Buffer.allocUnsafe = bounded(allocUnsafe) as typeof Buffer.allocUnsafe;
  return () => {
    Buffer.alloc = alloc;
    Buffer.allocUnsafe = allocUnsafe;
  };
}

const pool = createRandom(1).bytes(1 << 20);

/** Faster than drawing each. */
export function randomBytes(random: Random, count: number): Buffer {
  const start = random.below(pool.length - count);
  return Buffer.from(pool.subarray(start, start + count));
}

/** What bytes of any kind can suffer on the way. */
export const DAMAGE: Record<string, (random: Random, bytes: Buffer) => Buffer> = {
  cut: (random, bytes) => bytes.subarray(0, random.below(bytes.length + 1)),
  'bits flipped'(random, bytes) {
    const copy = Buffer.from(bytes);
    for (let times = random.below(8); times >= 0 && copy.length > 0; times--) {
      copy[random.below(copy.length)]! ^= 1 << random.below(8);
    }
    return copy;
  },
  'bytes inserted'(random, bytes) {
    const at = random.below(bytes.length + 1);
    const added = randomBytes(random, 1 + random.below(40));
    return Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at)]);
  },
  'bytes removed'(random, bytes) {
    const at = random.below(bytes.length + 1);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(40))]);
  },
  garbage: (random) => randomBytes(random, random.below(3000)),
};
