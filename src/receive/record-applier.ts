/** Applies PROTO[4] data records to a target, in any order and several at a time. */
import { type Batch, createBatch } from '../block/batch.js';
import { createBufferPool } from '../block/buffer-pool.js';
import type { BlockFile, Engine } from '../block/engine.js';
import { bufferCount } from '../block/io-limits.js';
import { isTurnOver, nextTurn } from '../extents/turns.js';
import { createTransferDigest } from '../stream/digest.js';
import type { Totals } from '../stream/messages.js';
import {
  damaged,
  ENCODING,
  MAX_PAYLOAD_BYTES,
  PAYLOAD_POSITION,
  RECORD,
  RECORD_BUFFER_BYTES,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  readTable,
} from '../stream/proto4.js';
import { zstdDecompress } from '../stream/zstd.js';
import type { RecordReader } from '../transport/record-reader.js';
import { joinZeroes } from './join-zeroes.js';
import { createLinkPositions, type LinkPosition } from './link-positions.js';
import type { Snapback } from './snapback.js';

/** One is being filled while another is written. */
const BUFFERS_PER_LINK = 2;

/** Takes the records of one link, one after the other. */
export interface LinkApplier {
  /** Reads the body of a DATA, ZERO or DISCARD record and starts writing it. */
  apply(header: RecordHeader, reader: RecordReader): Promise<void>;
  /** No more will come over this link. */
  end(): void;
}

export interface RecordApplier {
  /** Makes what has come durable without touching the target, where it can: `finish` may wait then. */
  prepare?(): Promise<void>;
  /** Every link has its own; they may be used at the same time. */
  openLink(): LinkApplier;
  /** Waits for all writes, flushes, and marks the snapback as that of a whole run. */
  finish(): Promise<void>;
  /**
   * Makes what has been applied so far durable, while more may be applied.
   *
   * @returns the offset below which nothing is missing any more, since the records of each link
   *   ascend in their first offset; undefined when these do not
   */
  checkpoint(): Promise<number | undefined>;
  /** Waits for all writes, whatever became of them. Nothing more can be applied. */
  settle(): Promise<void>;
  /** Of everything applied so far: how many records, and the sum of their extents' lengths. */
  readonly records: number;
  readonly dataBytes: number;
  /** The same with the digest, which is not for every record. */
  totals(): Totals;
}

export interface ApplierOptions {
  target: BlockFile;
  engine: Engine;
  snapback?: Snapback | undefined;
  /** Waited for before anything is changed; records are read meanwhile. */
  begin?: (() => Promise<void>) | undefined;
}

/** A record that has been read and is to be applied. */
interface Change {
  type: number;
  batch: Batch;
  totalBytes: number;
}

interface OpenLink {
  position: LinkPosition;
  /** Waits for the next record: of a buffer with zeroes in it the sender makes two. */
  held: Change | undefined;
}

/** @throws LvmsyncError from `apply`: STREAM_DAMAGED, PAST_END, and what engine and snapback throw */
export function createRecordApplier(options: ApplierOptions): RecordApplier {
  const { target, engine, snapback, begin } = options;
  const pool = createBufferPool(engine, {
    bufferBytes: RECORD_BUFFER_BYTES,
    count: bufferCount(engine.limits, RECORD_BUFFER_BYTES),
  });
  const digest = createTransferDigest();
  let records = 0;
  let dataBytes = 0;
  const positions = createLinkPositions();
  const links = new Set<OpenLink>();
  const underWay = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;

  async function apply(header: RecordHeader, reader: RecordReader, link: OpenLink): Promise<void> {
    if (isTurnOver()) await nextTurn(); // every link may have a record at the same time
    const buffer = await pool.acquire();
    let change: Change | undefined;
    try {
      if (failure !== undefined) throw failure.error;
      const { prologue, payload } = await reader.readBody(buffer, PAYLOAD_POSITION);
      const batch = createBatch(buffer, header.extentCount);
      const totalBytes = readTable(prologue, RECORD_HEADER_BYTES, header, target.sizeBytes, batch);
      if (header.decodedBytes !== (header.type === RECORD.data ? totalBytes : 0)) {
        throw damaged('the extents and the payload of a record disagree');
      }
      digest.add(prologue);
      records++;
      dataBytes += totalBytes;
      link.position.note(header.offset);
      if (header.encoding === ENCODING.zstd) {
        const decoded = await zstdDecompress(payload, header.decodedBytes);
        decoded.copy(buffer, PAYLOAD_POSITION);
      }
      if (header.type === RECORD.data) placePieces(batch);
      change = { type: header.type, batch, totalBytes };
    } finally {
      if (change === undefined) pool.release(buffer);
    }
    startOrHold(change, link);
  }

  function startOrHold(change: Change, link: OpenLink): void {
    const { held } = link;
    if (held !== undefined && mayBeHalf(change) && belongTogether(held, change)) {
      link.held = undefined;
      const [data, zeroes] = held.type === RECORD.data ? [held, change] : [change, held];
      startJoined(data.batch, zeroes.batch);
      return;
    }
    startHeld(link);
    if (mayBeHalf(change)) link.held = change;
    else start(change);
  }

  function startHeld(link: OpenLink): void {
    const { held } = link;
    link.held = undefined;
    if (held !== undefined) start(held);
  }

  function start({ type, batch }: Change): void {
    startAll(batch.buffer, carryOut(type, batch));
  }

  function startJoined(data: Batch, zeroes: Batch): void {
    pool.release(zeroes.buffer); // its table has been read
    const { written, longer } = joinZeroes(data, zeroes, target.writesZeroesBelow);
    const works = [carryOut(RECORD.data, written)];
    if (longer.count > 0) works.push(carryOut(RECORD.zero, longer));
    startAll(data.buffer, ...works);
  }

  function startAll(buffer: Buffer, ...works: Promise<void>[]): void {
    void Promise.all(works.map(track)).then(() => pool.release(buffer));
  }

  /** Whether the other half may follow: what the sender did not leave out of a full record. */
  function mayBeHalf({ type, totalBytes }: Change): boolean {
    const isEither = type === RECORD.data || type === RECORD.zero;
    return isEither && totalBytes < MAX_PAYLOAD_BYTES && target.writesZeroesBelow > 0;
  }

  /** Saves what is there, then changes it; meanwhile the next records are read. */
  async function carryOut(type: number, batch: Batch): Promise<void> {
    await begin?.();
    await snapback?.protect(batch);
    if (type === RECORD.zero) await target.zero(batch);
    else if (type === RECORD.discard) await target.discard(batch);
    else await target.write(batch);
  }

  /** Its failure comes out of the next call. */
  function track(work: Promise<void>): Promise<void> {
    const settled = work
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => underWay.delete(settled));
    underWay.add(settled);
    return settled;
  }

  /** Waits for the changes that are under way now, while more may be started. */
  async function catchUp(): Promise<void> {
    for (const link of links) startHeld(link);
    await Promise.all([...underWay]);
    if (failure !== undefined) throw failure.error;
  }

  return {
    openLink() {
      if (positions.count() > 0) pool.grow(BUFFERS_PER_LINK);
      const link: OpenLink = { position: positions.open(), held: undefined };
      links.add(link);
      return {
        apply: (header, reader) => apply(header, reader, link),
        end() {
          startHeld(link);
          link.position.end();
          links.delete(link);
        },
      };
    },
    async finish() {
      await catchUp();
      await target.flush();
      await snapback?.complete();
    },
    async checkpoint() {
      const durableOffset = positions.lowest();
      await catchUp();
      await target.flush();
      return durableOffset;
    },
    async settle() {
      await catchUp().catch(() => undefined);
      pool.close();
    },
    get records() {
      return records;
    },
    get dataBytes() {
      return dataBytes;
    },
    totals: () => ({ records, dataBytes, digest: digest.hex() }),
  };
}

/** Whether two records in succession can be of one buffer of the sender. */
function belongTogether(one: Change, other: Change): boolean {
  return one.type !== other.type && one.totalBytes + other.totalBytes <= MAX_PAYLOAD_BYTES;
}

/** The extents lie one after the other in the payload. */
function placePieces(batch: Batch): void {
  let position = PAYLOAD_POSITION;
  for (let i = 0; i < batch.count; i++) {
    batch.positions[i] = position;
    position += batch.lengths[i]!;
  }
}
