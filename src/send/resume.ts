/** What of a transfer is still to be sent when the receiver remembers an interrupted one. */
import { addPiece, createBatch } from '../block/batch.js';
import type { Engine } from '../block/engine.js';
import type { ExtentSource } from '../extents/extents.js';
import { extentsFrom, extentsOfBoth, extentsOfList } from '../extents/from.js';
import { createPieceCursor } from '../extents/piece-cursor.js';
import { fitsTable, MAX_PAYLOAD_BYTES, MAX_RECORD_EXTENTS } from '../stream/proto4.js';
import type { StreamWriter } from '../transport/stream-writer.js';
import type { RunWatcher } from '../watcher.js';
import type { ChangeSource } from './change-source.js';
import { type CheckGroup, compareGroups } from './compare.js';
import type { Inbox } from './inbox.js';

/** What is compared, and sent again when it differs, as one. */
const COMPARED_BYTES = 64 << 10;
/** With more differences than this it is simpler to send all. */
const MAX_DIFFERENCES = 65_536;

export interface ResumeOptions {
  source: ChangeSource;
  engine: Engine;
  writer: StreamWriter;
  inbox: Inbox;
  /** Where the receiver says it has got to; not to be trusted. */
  resumeOffset: number;
  /** How far earlier connections of the same run have sent; 0 if another run got there. */
  sentOffset: number;
  onNote?: ((line: string) => void) | undefined;
  watcher?: RunWatcher | undefined;
}

/**
 * The extents to send. What this process itself has sent and the receiver has made durable is
 * left out. What another run has sent is compared: the source may have changed since.
 *
 * @throws what the engine and the conversation throw
 */
export async function extentsToSend(options: ResumeOptions): Promise<ExtentSource> {
  const { source, resumeOffset, sentOffset, writer, inbox, onNote, watcher } = options;
  const { extents, volumeBytes } = source;
  if (resumeOffset <= 0 || resumeOffset > volumeBytes) return extents;
  const rest = await extentsFrom(extents, resumeOffset);
  const doneBytes = extents.totalBytes - rest.totalBytes;
  if (resumeOffset <= sentOffset) {
    onNote?.(`resuming at offset ${resumeOffset}: ${doneBytes} bytes are there already`);
    return rest;
  }
  const differences: [number, number][] = [];
  let differingBytes = 0;
  watcher?.phase('check', doneBytes);
  await compareGroups(groupsBelow(options), {
    writer,
    inbox,
    limitBytes: volumeBytes,
    onEqual: (_, length) => watcher?.advance(length),
    onDifference(offset, length) {
      watcher?.advance(length);
      differingBytes += length;
      if (differences.length < MAX_DIFFERENCES) differences.push([offset, length]);
    },
  });
  onNote?.(
    `resuming at offset ${resumeOffset}: of ${doneBytes} bytes that an earlier run sent, ${differingBytes} differ and are sent again`,
  );
  if (differences.length === MAX_DIFFERENCES) return extents;
  return extentsOfBoth(extentsOfList(differences), rest);
}

async function* groupsBelow({
  source,
  engine,
  resumeOffset,
}: ResumeOptions): AsyncGenerator<CheckGroup> {
  const now = createBatch(engine.allocate(MAX_PAYLOAD_BYTES), MAX_RECORD_EXTENTS);
  const pieces = createPieceCursor(source.extents);
  let more = pieces.take(COMPARED_BYTES);
  while (more && pieces.offset < resumeOffset) {
    now.count = 0;
    let end = 0;
    let previousEnd = pieces.offset;
    while (more && pieces.offset < resumeOffset && now.count < MAX_RECORD_EXTENTS) {
      const length = Math.min(pieces.length, resumeOffset - pieces.offset);
      if (end + length > MAX_PAYLOAD_BYTES || !fitsTable(previousEnd, pieces.offset)) break;
      addPiece(now, pieces.offset, length, end);
      end += length;
      previousEnd = pieces.offset + length;
      more = pieces.take(COMPARED_BYTES);
    }
    await source.data.read(now);
    yield { extents: now, hashes: await engine.hashPieces(now) };
  }
}
