/** A small volume before and after some changes, and what has become of a copy of it. */
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { planRandomStore, writeStore } from '../support/cow-store.js';
import { createRandom } from '../support/random.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const SECTOR_BYTES = 512;
const ORIGIN_BYTES = 4 << 20;

export interface Scene {
  directory: string;
  /** The origin as it is now, and its exception store. */
  originPath: string;
  storePath: string;
  chunkBytes: number;
  /** What a target holds before, and what it is to hold after. */
  base: Buffer;
  new: Buffer;
  /** Whether a sector lies in a changed chunk, and may be written. */
  changed: Uint8Array;
  /** A fresh target that holds the base. */
  createTarget(): string;
  /** A name for a file that is not there yet. */
  freshPath(name: string): string;
}

export interface SceneOptions {
  chunkBytes?: number;
  exceptionCount?: number;
}

/** Changes all over 4 MiB; an eighth of the changed chunks became zeroes. */
export function createScene(seed: number, options: SceneOptions = {}): Scene {
  const { chunkBytes = 4096, exceptionCount = 640 } = options;
  const directory = temporaryDirectory();
  const random = createRandom(seed);
  const base = random.bytes(ORIGIN_BYTES);
  const changedOrigin = Buffer.from(base);
  const changed = new Uint8Array(ORIGIN_BYTES / SECTOR_BYTES);
  const plan = planRandomStore(random, {
    chunkBytes,
    originBytes: ORIGIN_BYTES,
    exceptionCount,
    order: 'shuffled',
  });
  for (const [chunk] of plan.exceptions) {
    const at = chunk * chunkBytes;
    const data = random.chance(1 / 8) ? Buffer.alloc(chunkBytes) : random.bytes(chunkBytes);
    data.copy(changedOrigin, at);
    changed.fill(1, at / SECTOR_BYTES, (at + chunkBytes) / SECTOR_BYTES);
  }
  const oldData = (chunk: number) => base.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes);
  const storePath = join(directory, 'store');
  writeStore(storePath, { ...plan, oldData });
  const originPath = join(directory, 'origin');
  writeFileSync(originPath, changedOrigin);
  const basePath = join(directory, 'base');
  writeFileSync(basePath, base);

  let files = 0;
  const freshPath = (name: string) => join(directory, `${name}-${++files}`);
  return {
    directory,
    originPath,
    storePath,
    chunkBytes,
    base,
    new: changedOrigin,
    changed,
    createTarget() {
      const path = freshPath('target');
      copyFileSync(basePath, path);
      return path;
    },
    freshPath,
  };
}

export interface TargetState {
  state: 'base' | 'new' | 'torn';
  /** Sectors outside the changed chunks that are not what they were. */
  lostSectors: number;
  /** Sectors of changed chunks that are neither what they were nor what they are to be. */
  strangeSectors: number;
}

export function lookAtTarget(scene: Scene, path: string): TargetState {
  const content = readFileSync(path);
  if (content.equals(scene.base)) return { state: 'base', lostSectors: 0, strangeSectors: 0 };
  if (content.equals(scene.new)) return { state: 'new', lostSectors: 0, strangeSectors: 0 };
  let lostSectors = Math.abs(content.length - scene.base.length) / SECTOR_BYTES;
  let strangeSectors = 0;
  for (let sector = 0; sector < scene.changed.length; sector++) {
    const start = sector * SECTOR_BYTES;
    const end = start + SECTOR_BYTES;
    if (content.compare(scene.base, start, end, start, end) === 0) continue;
    if (scene.changed[sector] === 0) lostSectors++;
    else if (content.compare(scene.new, start, end, start, end) !== 0) strangeSectors++;
  }
  return { state: 'torn', lostSectors, strangeSectors };
}
