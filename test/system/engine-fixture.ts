import { execFile, execFileSync } from 'node:child_process';
import { mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { addPiece, type Batch, createBatch } from '#lvmsync/block/batch.js';
import type { Engine } from '#lvmsync/block/engine.js';
import { loadEngine } from '#lvmsync/block/engines.js';
import type { IoChoice } from '#lvmsync/block/native-engine.js';

const run = promisify(execFile);

/** Why there is no such thing here, or false. */
export const noLoopDevices = whyNot(() => execFileSync('losetup', ['--find'], { stdio: 'pipe' }));
export const noMounts = whyNot(() =>
  execFileSync('unshare', ['--mount', 'true'], { stdio: 'pipe' }),
);

export interface EngineUnderTest {
  label: string;
  engine: Engine;
  io: IoChoice;
}

/**
 * Every engine, and the native one with each thing that it can work with; all must pass the same
 * tests. Fails here when the native one is not built. Where the kernel forbids io_uring,
 * engines.test.ts says so.
 */
export const ENGINES: readonly EngineUnderTest[] = [
  { label: 'js engine', engine: loadEngine('js').engine, io: 'auto' },
  ...(['threads', 'io_uring'] as const)
    .filter((io) => io === 'threads' || loadEngine('native').engine.backend === io)
    .map((io) => ({
      label: `native engine with ${io}`,
      engine: loadEngine('native', { io }).engine,
      io,
    })),
];

/** V8's collector, which Node hides unless it was started with --expose-gc. */
export function exposeGarbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc');
}

/** A directory that goes away with the test. */
export async function temporaryDirectory(context: TestContext, parent = tmpdir()) {
  const directory = await mkdtemp(join(parent, 'lvmsync-engine-'));
  context.after(() => rm(directory, { recursive: true }));
  return directory;
}

export interface Piece {
  offset: number;
  length: number;
  position: number;
}

export function batchOf(buffer: Buffer, pieces: readonly Piece[]): Batch {
  const batch = createBatch(buffer, pieces.length);
  for (const { offset, length, position } of pieces) addPiece(batch, offset, length, position);
  return batch;
}

/** Whole numbers from 0 to `limit` - 1, the same for the same seed (mulberry32). */
export function seededRandom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

/** Bytes that differ from place to place, so that anything misplaced shows. */
export function randomBytes(random: (limit: number) => number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let index = 0; index < length; index++) bytes[index] = random(256);
  return bytes;
}

/** The reason why something cannot be done here, or false when it can. */
function whyNot(attempt: () => unknown): string | false {
  try {
    attempt();
    return false;
  } catch (error) {
    return error instanceof Error ? error.message.trim().replaceAll('\n', ' ') : String(error);
  }
}

/** A loop device over a file of random bytes. */
export async function loopDevice(
  context: TestContext,
  bytes: number,
  blockBytes: number,
  options: string[] = [],
) {
  const backing = join(await temporaryDirectory(context), 'backing');
  await writeFile(backing, randomBytes(seededRandom(bytes), bytes));
  const { stdout } = await run('losetup', [
    ...['--find', '--show', '--sector-size', String(blockBytes)],
    ...options,
    backing,
  ]);
  const device = stdout.trim();
  context.after(() => run('losetup', ['--detach', device]));
  return { device, backing };
}

/** A file system of its own, which goes away with the test. */
export async function mounted(context: TestContext, type: string, options = 'rw'): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'lvmsync-engine-'));
  await run('mount', ['-t', type, '-o', options, type, directory]);
  context.after(async () => {
    await run('umount', ['--lazy', directory]);
    await rmdir(directory);
  });
  return directory;
}
