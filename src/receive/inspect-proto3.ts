/** PROTO[3] has no checksum, count or end: only its framing can be looked at. */
import { createBatch } from '../block/batch.js';
import type { Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import type { ByteSource } from '../stream/bytes.js';
import { createProto3Decoder, PROTO3_HEADER_BYTES } from '../stream/proto3.js';
import { damaged } from '../stream/proto4.js';
import type { Findings } from './inspect-findings.js';

const BUFFER_BYTES = 1 << 20;
const BATCH_PIECES = BUFFER_BYTES / 512;

/** From behind the label on. @throws LvmsyncError STREAM_TRUNCATED, STREAM_DAMAGED */
export async function inspectProto3(
  source: ByteSource,
  found: Findings,
  engine: Pick<Engine, 'allocate'>,
): Promise<void> {
  found.kind = 'proto3';
  const labelBytes = found.fileBytes;
  const decoder = createProto3Decoder(Number.MAX_SAFE_INTEGER);
  const batch = createBatch(engine.allocate(BUFFER_BYTES), BATCH_PIECES);
  const { buffer } = batch;
  let used = 0;
  let takenBytes = 0;

  function take(): void {
    for (let i = 0; i < batch.count; i++) {
      found.coverage.add(batch.offsets[i]!, batch.lengths[i]!);
      takenBytes += batch.lengths[i]!;
    }
    const { recordCount, incompleteBytes } = decoder;
    const wholeRecords = incompleteBytes === undefined ? recordCount : recordCount - 1;
    found.dataBytes = takenBytes - (incompleteBytes ?? 0);
    found.records.data = wholeRecords;
    found.extentCount = wholeRecords;
    found.wholeBytes = labelBytes + PROTO3_HEADER_BYTES * wholeRecords + found.dataBytes;
  }

  for (let ended = false; !ended; ) {
    const readBytes = await source.read(buffer.subarray(used));
    ended = readBytes === 0;
    used += readBytes;
    let start = 0;
    do {
      batch.count = 0;
      try {
        start = decoder.decode(batch, start, used);
      } catch (error) {
        throw error instanceof LvmsyncError && error.code === 'PAST_END'
          ? damaged(`record ${decoder.recordCount} lies where no volume can have anything`)
          : error;
      } finally {
        take();
      }
    } while (batch.count > 0);
    buffer.copyWithin(0, start, used);
    used -= start;
  }
  decoder.finish(used);
  found.state = 'unproven';
}
