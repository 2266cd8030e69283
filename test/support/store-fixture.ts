import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ExceptionPair, planRandomStore, writeStore } from './cow-store.js';
import { createRandom } from './random.js';
import { lvmsyncPath } from './repository.js';

/** A volume that has changed since its snapshot, as files. */
export interface StoreFixture {
  /** What it holds now. */
  origin: Buffer;
  /** What it held when the snapshot was taken. */
  base: Buffer;
  /** Of the changed chunks, in the order of the store. */
  changedOffsets: number[];
  /** The options that name it. */
  source: string[];
  path(name: string): string;
  /** Writes a target that holds `content`, and returns its path. */
  target(name: string, content: Buffer): string;
  /** For `-e`: runs what follows the host through sh, our `lvmsync` in the PATH, by this Node. */
  rsh(node?: string): string;
}

export interface StoreFixtureOptions {
  seed: number;
  originBytes?: number;
  chunkBytes?: number;
  changedChunks?: number;
  /** What the changed chunks hold now; random by default. */
  content?: (chunk: Buffer) => void;
}

export function createStoreFixture(directory: string, options: StoreFixtureOptions): StoreFixture {
  const { seed, originBytes = 4 << 20, chunkBytes = 4096, changedChunks = 300, content } = options;
  const random = createRandom(seed);
  const base = random.bytes(originBytes);
  const origin = Buffer.from(base);
  const plan = planRandomStore(random, {
    chunkBytes,
    originBytes,
    exceptionCount: changedChunks,
    order: 'shuffled',
  });
  const changedOffsets = plan.exceptions.map(([chunk]: ExceptionPair) => chunk * chunkBytes);
  for (const offset of changedOffsets) {
    const chunk = origin.subarray(offset, offset + chunkBytes);
    if (content === undefined) random.bytes(chunk.length).copy(chunk);
    else content(chunk);
  }
  const path = (name: string) => join(directory, name);
  writeStore(path(`store-${seed}`), {
    ...plan,
    oldData: (chunk) => base.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes),
  });
  writeFileSync(path(`origin-${seed}`), origin);
  return {
    origin,
    base,
    changedOffsets,
    source: ['--cow-device', path(`store-${seed}`), '--data-source', path(`origin-${seed}`)],
    path,
    target(name, bytes) {
      writeFileSync(path(name), bytes);
      return path(name);
    },
    rsh(node = process.execPath) {
      const name = path(`rsh-${node === process.execPath ? 'same' : 'other'}`);
      const run = `lvmsync() { '${node}' '${lvmsyncPath}' "$@"; }`;
      writeFileSync(name, `#!/bin/sh\nshift\n${run}\neval "$*"\n`);
      chmodSync(name, 0o755);
      return name;
    },
  };
}

export function sameContent(path: string, content: Buffer): boolean {
  return readFileSync(path).equals(content);
}
