/**
 * The metadata snapshot of a thin pool: the pool's metadata as they are at one moment, which can be
 * read while the pool is in use. A pool has one at most, it stays until it is released, through
 * reboots too, and the kernel does not know whose it is. So a note in the state directory says
 * which one is lvmsync's, for the run after one that was killed.
 */

import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { acquireLock, type Lock } from '../block/lock.js';
import { removeFile } from '../block/remove-file.js';
import { assertPrivate, makeStateDirectory } from '../block/state-directory.js';
import { sha256Hex } from '../checksum/sha256.js';
import { nowMs } from '../clock.js';
import { LvmsyncError } from '../errors.js';
import { readFile, writeFile } from '../files.js';
import type { PoolUsage } from './dm-table.js';
import { assertPoolUsable, messagePool, readPoolUsage, type ThinPool } from './thin-pool.js';

export interface MetadataSnapshotOptions {
  /** Where the note is left. */
  stateDirectory: string;
  /** Ends the waiting for another lvmsync that has the pool's metadata snapshot. */
  signal?: AbortSignal | undefined;
  onWarning?: ((line: string) => void) | undefined;
}

/** Another run has it for as long as its thin_delta takes. */
const LOCK_WAIT_MS = 600_000;
const LOCK_RETRY_MS = 200;

/**
 * Holds a metadata snapshot of the pool while `use` runs, and releases it however that ends. What
 * has been acknowledged to a writer before is in it.
 *
 * @throws LvmsyncError SNAPSHOT_IN_USE when somebody else holds one; SNAPSHOT_INVALID for a pool
 *   in trouble; OPEN_FAILED; TOOL_MISSING; TOOL_FAILED; what `use` throws
 */
export async function withMetadataSnapshot<T>(
  pool: ThinPool,
  options: MetadataSnapshotOptions,
  use: () => Promise<T>,
): Promise<T> {
  const lock = await waitForLock(pool, options.signal);
  try {
    const note = await openNote(pool, options.stateDirectory);
    const usage = await readPoolUsage(pool);
    assertPoolUsable(pool, usage);
    if (usage.heldRoot !== undefined) {
      if (!(await note.describes(usage))) throw heldError(pool);
      options.onWarning?.(
        `releasing the metadata snapshot of ${pool.path} that a killed run of lvmsync has left`,
      );
      await note.release();
    }
    await messagePool(pool, 'reserve_metadata_snap');
    try {
      await note.write(await readPoolUsage(pool));
      return await use();
    } finally {
      // Its failure is not to hide that of `use`, and what was read is right all the same.
      await note.release().catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        options.onWarning?.(
          `the metadata snapshot of ${pool.path} stays (${reason}); ${byHand(pool)}`,
        );
      });
    }
  } finally {
    await lock.release();
  }
}

async function waitForLock(pool: ThinPool, signal: AbortSignal | undefined): Promise<Lock> {
  const deadline = nowMs() + LOCK_WAIT_MS;
  for (;;) {
    try {
      return await acquireLock('pool', pool.uuid, pool.path);
    } catch (error) {
      const isHeld = error instanceof LvmsyncError && error.code === 'SNAPSHOT_IN_USE';
      if (signal?.aborted) throw interruptedError(pool);
      if (!isHeld || nowMs() > deadline) throw error;
      await delay(LOCK_RETRY_MS);
    }
  }
}

interface Note {
  /** Whether the metadata snapshot that the pool has is the one that was noted. */
  describes(usage: PoolUsage): Promise<boolean>;
  write(usage: PoolUsage): Promise<void>;
  /** Forgets it first: without a note, nobody else's can be taken for ours. */
  release(): Promise<void>;
}

async function openNote(pool: ThinPool, stateDirectory: string): Promise<Note> {
  await assertPrivate(stateDirectory);
  const name = sha256Hex(pool.uuid).slice(0, 40);
  const path = join(stateDirectory, `${name}.metadata-snapshot`);
  const textOf = ({ heldRoot, transaction }: PoolUsage) =>
    `${JSON.stringify({ pool: pool.uuid, heldRoot, transaction })}\n`;
  return {
    async describes(usage) {
      return (await readFile(path, 'utf8').catch(() => '')) === textOf(usage);
    },
    async write(usage) {
      await makeStateDirectory(stateDirectory);
      await writeFile(path, textOf(usage), { mode: 0o600, flush: true });
    },
    async release() {
      await removeFile(path);
      await messagePool(pool, 'release_metadata_snap');
    },
  };
}

function heldError(pool: ThinPool): LvmsyncError {
  const { path } = pool;
  return new LvmsyncError(
    'SNAPSHOT_IN_USE',
    `somebody else holds the metadata snapshot of the thin pool ${path}, and a pool has only one`,
    { path, hint: `wait for what reads its metadata; if nothing does, ${byHand(pool)}` },
  );
}

function byHand({ path }: ThinPool): string {
  return `release it: dmsetup message ${path} 0 release_metadata_snap`;
}

function interruptedError({ path }: ThinPool): LvmsyncError {
  return new LvmsyncError('INTERRUPTED', `interrupted while another lvmsync read from ${path}`, {
    hint: 'nothing has been changed; run the same command again',
  });
}
