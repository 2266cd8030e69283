import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { planRandomStore, writeStore } from './cow-store.js';
import { lvmsyncOk } from './lvmsync.js';
import { createRandom } from './random.js';

export interface Delta {
  /** What the origin was, and what it is. */
  before: Buffer;
  after: Buffer;
  /** Options that name the source: a store and its origin. */
  source: string[];
  /** Bytes that have changed. */
  changedBytes: number;
  /** The changes as a stream of either protocol, in a file. */
  stream(protocol: 3 | 4): Promise<string>;
  /** A new file that holds the base. */
  target(name: string): string;
  path(name: string): string;
  /** Whether a target holds exactly this. */
  holds(target: string, image: Buffer): boolean;
}

const CHUNK_BYTES = 4096;

/** A seeded origin, a base, and the store between them, as files in the directory. */
export function createDelta(directory: string, seed: number, originBytes: number): Delta {
  const random = createRandom(seed);
  const path = (name: string) => join(directory, name);
  const exceptionCount = Math.floor(originBytes / CHUNK_BYTES / 3);
  const before = random.bytes(originBytes);
  const after = Buffer.from(before);
  const plan = planRandomStore(random, {
    chunkBytes: CHUNK_BYTES,
    originBytes,
    exceptionCount,
    order: 'allocation',
  });
  for (const [chunk] of plan.exceptions) {
    random.bytes(64).copy(after, chunk * CHUNK_BYTES + random.below(CHUNK_BYTES - 64));
  }
  const oldData = (chunk: number) =>
    before.subarray(chunk * CHUNK_BYTES, (chunk + 1) * CHUNK_BYTES);
  writeStore(path('cow'), { ...plan, oldData });
  writeFileSync(path('origin'), after);
  const source = ['--cow-device', path('cow'), '--data-source', path('origin')];
  return {
    before,
    after,
    source,
    changedBytes: exceptionCount * CHUNK_BYTES,
    path,
    async stream(protocol) {
      const { stdout } = await lvmsyncOk([...source, '--stdout', '--protocol', String(protocol)]);
      writeFileSync(path(`stream-${protocol}`), stdout);
      return path(`stream-${protocol}`);
    },
    target(name) {
      writeFileSync(path(name), before);
      return path(name);
    },
    holds: (target, image) => readFileSync(target).equals(image),
  };
}
