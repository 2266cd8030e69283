/**
 * The spool of a transactional run: the whole delta in a file of the receiver's, before the first
 * byte of the target is overwritten. From the moment it has its final name the run is decided: the
 * spool is applied, by this run or by the next one that opens the target. The file is a PROTO[4]
 * stream, as docs/protocol.md has it ("A spool").
 */
import { createBatch } from '../block/batch.js';
import type { BlockFile, Engine } from '../block/engine.js';
import { removeFile } from '../block/remove-file.js';
import { rename, rm } from '../files.js';
import { createTransferDigest } from '../stream/digest.js';
import { PROTO4_HANDSHAKE } from '../stream/handshake.js';
import { encodeMessage } from '../stream/message-encoder.js';
import type { Totals } from '../stream/messages.js';
import {
  damaged,
  ENCODING,
  MAX_RECORD_EXTENTS,
  PAYLOAD_POSITION,
  RECORD,
  RECORD_BUFFER_BYTES,
  RECORD_HEADER_BYTES,
  readTable,
} from '../stream/proto4.js';
import { zstdDecompress } from '../stream/zstd.js';
import { openAppendFile, syncDirectory } from './append-file.js';
import type { ReplicaRun } from './history-plan.js';
import type { LinkApplier, RecordApplier } from './record-applier.js';
import type { TargetState } from './state-directory.js';

export interface SpoolOptions {
  target: BlockFile;
  targetId: string;
  engine: Engine;
  version: string;
  state: TargetState;
  /** The undo log that whoever applies the spool is to go on with. */
  snapbackPath?: string | undefined;
  /** The run that it is of, where the target has a history. */
  replica?: ReplicaRun | undefined;
  /** Applies the spool to the target, flush included. */
  applySpool(): Promise<void>;
}

export interface Spool extends RecordApplier {
  prepare(): Promise<void>;
  /** Removes what has come in, unless it is complete. */
  discard(): Promise<void>;
}

/**
 * Takes records as an applier does, but into a file; `prepare` makes it durable, `finish` decides that
 * it is applied, applies it and removes it.
 *
 * @throws LvmsyncError OPEN_FAILED; from its functions WRITE_FAILED with the target untouched, and
 *   what `applySpool` throws with the spool in place
 */
export async function createSpool(options: SpoolOptions): Promise<Spool> {
  const { target, targetId, engine, version, state, snapbackPath, replica, applySpool } = options;
  await state.prepare();
  const { spoolPath, partialSpoolPath, directory } = state;
  await removeFile(partialSpoolPath);
  const file = await openAppendFile({
    path: partialSpoolPath,
    what: 'the spool',
    hint: 'the target is untouched; free some space, or run it without --transactional',
  });
  const digest = createTransferDigest();
  let records = 0;
  let dataBytes = 0;
  let complete = false;
  let closed = false;
  const totals = (): Totals => ({ records, dataBytes, digest: digest.hex() });

  async function close(): Promise<void> {
    if (closed) return;
    closed = true;
    await file.close();
  }

  const source = {
    id: targetId,
    sizeBytes: target.sizeBytes,
    chunkBytes: 512,
    extents: { count: 0, bytes: 0, digest: '' },
  };
  const spool = { snapback: snapbackPath, replica };
  await file.append(
    Buffer.from(PROTO4_HANDSHAKE),
    encodeMessage(RECORD.hello, { version, run: '', capabilities: ['zstd'], source, spool }),
  );

  function openLink(): LinkApplier {
    const buffer = engine.allocate(RECORD_BUFFER_BYTES);
    const batch = createBatch(buffer, MAX_RECORD_EXTENTS);
    return {
      async apply(header, reader) {
        const { prologue, payload } = await reader.readBody(buffer, PAYLOAD_POSITION);
        const totalBytes = readTable(
          prologue,
          RECORD_HEADER_BYTES,
          header,
          target.sizeBytes,
          batch,
        );
        if (header.decodedBytes !== (header.type === RECORD.data ? totalBytes : 0)) {
          throw damaged('the extents and the payload of a record disagree');
        }
        // A spool that is complete must not turn out to be unusable when it is half applied.
        if (header.encoding === ENCODING.zstd) await zstdDecompress(payload, header.decodedBytes);
        await file.append(prologue, payload);
        digest.add(prologue);
        records++;
        dataBytes += totalBytes;
      },
      end() {},
    };
  }

  let preparing: Promise<void> | undefined;

  /** No more will come. */
  async function seal(): Promise<void> {
    await file.append(encodeMessage(RECORD.end, totals()));
    await file.sync();
    await close();
  }

  function prepare(): Promise<void> {
    preparing ??= seal();
    return preparing;
  }

  return {
    openLink,
    prepare,
    async finish() {
      await prepare();
      await rename(partialSpoolPath, spoolPath);
      complete = true;
      await syncDirectory(directory);
      await applySpool();
      await removeSpool(state);
    },
    checkpoint: async () => undefined,
    settle: close,
    get records() {
      return records;
    },
    get dataBytes() {
      return dataBytes;
    },
    totals,
    async discard() {
      await close();
      if (!complete) await removeFile(partialSpoolPath);
    },
  };
}

/** Once the target holds all of it, durably. */
export async function removeSpool({ spoolPath, directory }: TargetState): Promise<void> {
  await rm(spoolPath);
  await syncDirectory(directory);
}
