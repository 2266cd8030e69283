/**
 * The snapback: what the target held before it was overwritten, as a PROTO[3] stream that puts
 * it back when applied. Whole blocks are saved, each at its first overwrite only: a later
 * overwrite of the same block would save new data, and applying that would not restore.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { addPiece, createBatch, type Ranges } from '../block/batch.js';
import type { BlockFile, Engine } from '../block/engine.js';
import { reasonOf } from '../block/errno.js';
import { LvmsyncError } from '../errors.js';
import { PROTO3_HANDSHAKE } from '../stream/handshake.js';
import { PROTO3_HEADER_BYTES, writeProto3Header } from '../stream/proto3.js';
import { createBlockSet } from './block-set.js';

/** Granularity of what is saved; a target's last block may be shorter. */
const BLOCK_BYTES = 4096;
const BUFFER_BYTES = 1 << 20;
const RECORD_ROOM = BLOCK_BYTES + PROTO3_HEADER_BYTES;

export interface Snapback {
  /**
   * Saves, durably, what the ranges hold, which are about to be overwritten. May be called again
   * before it has resolved.
   */
  protect(ranges: Ranges): Promise<void>;
  /** Marks it as that of a run that came to its end; to be called once the target is flushed. */
  complete(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Creates the snapback file for `target`.
 *
 * @throws LvmsyncError OPEN_FAILED; also when the file is there and not empty, since what it
 *   holds may be the only way back from an earlier run
 */
export async function createSnapback(
  path: string,
  target: BlockFile,
  engine: Engine,
): Promise<Snapback> {
  const file = await openNew(path);
  const saved = createBlockSet();
  const buffer = engine.allocate(BUFFER_BYTES);
  const batch = createBatch(buffer, Math.floor(BUFFER_BYTES / RECORD_ROOM));
  let fileBytes = 0;
  let used = 0; // of the buffer

  async function append(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await file.write(bytes, done, bytes.length - done, fileBytes);
      done += bytesWritten;
      fileBytes += bytesWritten;
    }
  }

  function add(offset: number, length: number): void {
    addPiece(batch, offset, length, used + PROTO3_HEADER_BYTES);
    used += PROTO3_HEADER_BYTES + length;
  }

  async function save(): Promise<void> {
    if (batch.count === 0) return;
    await target.read(batch);
    for (let i = 0; i < batch.count; i++) {
      const position = batch.positions[i]! - PROTO3_HEADER_BYTES;
      writeProto3Header(buffer, position, batch.offsets[i]!, batch.lengths[i]!);
    }
    await append(buffer.subarray(0, used));
    batch.count = 0;
    used = 0;
  }

  async function protect(overwritten: Ranges): Promise<void> {
    const sizeBefore = fileBytes;
    let runOffset = 0;
    let runEnd = 0; // blocks [runOffset, runEnd) are to be saved as one record
    for (let i = 0; i < overwritten.count; i++) {
      const first = Math.floor(overwritten.offsets[i]! / BLOCK_BYTES);
      const end = overwritten.offsets[i]! + overwritten.lengths[i]!;
      for (let block = first; block * BLOCK_BYTES < end; block++) {
        if (saved.has(block)) continue;
        saved.add(block);
        const offset = block * BLOCK_BYTES;
        const blockEnd = Math.min(offset + BLOCK_BYTES, target.sizeBytes);
        const room = BUFFER_BYTES - used - PROTO3_HEADER_BYTES;
        if (offset === runEnd && runEnd > runOffset && blockEnd - runOffset <= room) {
          runEnd = blockEnd;
          continue;
        }
        if (runEnd > runOffset) add(runOffset, runEnd - runOffset);
        if (BUFFER_BYTES - used < RECORD_ROOM || batch.count === batch.offsets.length) await save();
        runOffset = offset;
        runEnd = blockEnd;
      }
    }
    if (runEnd > runOffset) add(runOffset, runEnd - runOffset);
    await save();
    if (fileBytes > sizeBefore) await file.datasync();
  }

  let last: Promise<void> = Promise.resolve();
  let failure: { error: unknown } | undefined;

  /** One batch at a time; a snapback that has failed once is never relied upon again. */
  async function protectNext(overwritten: Ranges): Promise<void> {
    if (failure !== undefined) throw failure.error;
    try {
      await guard(path, () => protect(overwritten));
    } catch (error) {
      failure = { error };
      throw error;
    }
  }

  await guard(path, () => append(Buffer.from(PROTO3_HANDSHAKE)));
  return {
    protect(overwritten) {
      const protecting = last.then(() => protectNext(overwritten));
      last = protecting.catch(() => undefined);
      return protecting;
    },
    complete: async () => {}, // PROTO[3] has no such mark
    close: () =>
      guard(path, async () => {
        await last;
        await file.sync();
        await file.close();
      }),
  };
}

async function openNew(path: string): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_CREAT;
  const file = await guard(path, () => open(path, flags, 0o600), 'OPEN_FAILED');
  const { size } = await file.stat();
  if (size > 0) {
    await file.close();
    throw new LvmsyncError('OPEN_FAILED', `the snapback ${path} is there already and holds data`, {
      path,
      hint: 'it may be the only way back from an earlier run: name another file, or move it away',
    });
  }
  // Its name must survive a crash as surely as its content.
  const directory = await open(dirname(path), 'r');
  await directory.sync().finally(() => directory.close());
  return file;
}

async function guard<T>(
  path: string,
  act: () => Promise<T>,
  code: 'OPEN_FAILED' | 'WRITE_FAILED' = 'WRITE_FAILED',
): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    if (cause instanceof LvmsyncError) throw cause;
    const { errno, words } = reasonOf(cause);
    throw new LvmsyncError(code, `cannot write the snapback ${path}: ${words}`, {
      path,
      ...(errno !== undefined && { errno }),
      hint: 'nothing was overwritten that is not in the snapback; free some space or name another file',
      cause,
    });
  }
}
