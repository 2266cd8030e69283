/**
 * Proof, before a byte is overwritten, that the target holds what the changes were made to. The
 * exception store has the old data of every changed chunk: a chunk of the target must hold that,
 * or what the transfer will write there anyway (an earlier run may have got that far).
 */
import { addPiece, type Batch, createBatch } from '../block/batch.js';
import type { Engine } from '../block/engine.js';
import { HASH_BYTES } from '../checksum/content-hash.js';
import { LvmsyncError } from '../errors.js';
import { offsetsOutside } from '../extents/outside.js';
import type { ExceptionPair } from '../lvm/exception-pairs.js';
import { fitsTable, MAX_PAYLOAD_BYTES, MAX_RECORD_EXTENTS } from '../stream/proto4.js';
import type { StreamWriter } from '../transport/stream-writer.js';
import type { ChangeSource } from './change-source.js';
import { type CheckGroup, compareGroups } from './compare.js';
import type { Inbox } from './inbox.js';

/** `sample`: some changed and some unchanged chunks; `full`: every changed chunk too. */
export type BaseCheck = 'sample' | 'full' | 'none';

export interface BaseCheckOptions {
  source: ChangeSource;
  engine: Engine;
  base: BaseCheck;
  /**
   * Whether an interrupted transfer of the same source has left chunks that are neither old nor
   * new. Known only when the receiver has answered; a sample is asked for without waiting.
   */
  interrupted: Promise<boolean>;
  writer: StreamWriter;
  inbox: Inbox;
  /** Called when all has been asked, and the disk is free for something else. */
  onAsked?: (() => void) | undefined;
  onNote?: ((line: string) => void) | undefined;
}

/** Of the changed chunks: so many metadata areas, so many chunks of each. */
const SAMPLE_AREAS = 16;
const SAMPLE_CHUNKS_PER_AREA = 8;
const SAMPLE_CHUNKS = SAMPLE_AREAS * SAMPLE_CHUNKS_PER_AREA;
const SAMPLE_UNCHANGED_CHUNKS = 64;
/** How many differing ranges a message lists. */
const LISTED_RANGES = 5;
/**
 * Of a sample, this part of the changed chunks may differ. A chunk that was written on the
 * snapshot as well has the snapshot's data in the store, not the base's; and all of the changed
 * chunks are going to be overwritten anyway. Another volume differs in nearly all of them.
 */
const TOLERATED_PART = 1 / 4;

/**
 * @throws LvmsyncError BASE_MISMATCH listing the first ranges that differ, and what reading and
 *   the conversation fail with
 */
export async function checkBase(options: BaseCheckOptions): Promise<void> {
  const { base, interrupted, onAsked, onNote } = options;
  if (base === 'none') return onAsked?.();
  const askNone = base === 'full' && (await interrupted);
  let asking = 2;
  const oneAsked = () => {
    asking--;
    if (asking === 0) onAsked?.();
  };
  const [asked, unchanged] = await Promise.all([
    compare(askNone ? noGroups() : changedGroups(options), options, oneAsked),
    compare(unchangedGroups(options), options, oneAsked),
  ]);
  const changed = (await interrupted) ? NOTHING_COMPARED : asked;
  const tolerated = base === 'sample' ? changed.comparedCount * TOLERATED_PART : 0;
  if (unchanged.differingCount > 0) throw mismatch(unchanged, 'unchanged');
  if (changed.differingCount > tolerated) throw mismatch(changed, 'changed');
  const differing = changed.differingCount > 0 ? `, ${changed.differingCount} of them differ` : '';
  onNote?.(
    `base: the target holds what it should in ${unchanged.comparedCount} unchanged and ${changed.comparedCount} changed chunks (${base}${differing})`,
  );
}

interface Comparison {
  comparedCount: number;
  differingCount: number;
  /** The first of those that differ, as offset+bytes. */
  listed: string[];
}

const NOTHING_COMPARED: Comparison = { comparedCount: 0, differingCount: 0, listed: [] };

async function compare(
  groups: AsyncIterable<CheckGroup>,
  { source, writer, inbox }: BaseCheckOptions,
  onAsked: () => void,
): Promise<Comparison> {
  const listed: string[] = [];
  let differingCount = 0;
  const comparedCount = await compareGroups(groups, {
    writer,
    inbox,
    limitBytes: source.volumeBytes,
    onAsked,
    onDifference(offset, length) {
      differingCount++;
      if (listed.length < LISTED_RANGES) listed.push(`${offset}+${length}`);
    },
  });
  return { comparedCount, differingCount, listed };
}

async function* noGroups(): AsyncGenerator<CheckGroup> {}

async function* changedGroups({
  source,
  engine,
  base,
}: BaseCheckOptions): AsyncGenerator<CheckGroup> {
  const { chunkBytes, volumeBytes } = source;
  const comparedBytes = Math.min(chunkBytes, MAX_PAYLOAD_BYTES);
  const limit = groupLimit(comparedBytes, base === 'sample' ? SAMPLE_CHUNKS : undefined);
  const now = newBatch(engine, comparedBytes, limit);
  const before = newBatch(engine, comparedBytes, limit);
  for await (const pairs of base === 'sample'
    ? [await sampleOf(source)]
    : source.pairs(undefined)) {
    for (const group of groupsOf(pairs, comparedBytes, limit)) {
      now.count = 0;
      before.count = 0;
      for (const [index, { originOffset, storeOffset }] of group.entries()) {
        const length = Math.min(comparedBytes, volumeBytes - originOffset);
        addPiece(now, originOffset, length, index * comparedBytes);
        addPiece(before, storeOffset, length, index * comparedBytes);
      }
      await Promise.all([source.data.read(now), source.store.read(before)]);
      const hashes = await Promise.all([engine.hashPieces(before), engine.hashPieces(now)]);
      yield { extents: now, hashes: inTurn(hashes) };
    }
  }
}

async function* unchangedGroups({ source, engine }: BaseCheckOptions): AsyncGenerator<CheckGroup> {
  const { chunkBytes, volumeBytes, extents } = source;
  const comparedBytes = Math.min(chunkBytes, MAX_PAYLOAD_BYTES);
  const chunkCount = Math.ceil(volumeBytes / chunkBytes);
  const picked = new Set<number>();
  for (let i = 0; i < SAMPLE_UNCHANGED_CHUNKS; i++) {
    picked.add(Math.floor(Math.random() * chunkCount) * chunkBytes);
  }
  const unchanged = await offsetsOutside(
    extents,
    [...picked].sort((a, b) => a - b),
  );
  const limit = groupLimit(comparedBytes, SAMPLE_UNCHANGED_CHUNKS);
  const now = newBatch(engine, comparedBytes, limit);
  const places = unchanged.map((originOffset) => ({ originOffset, storeOffset: 0 }));
  for (const group of groupsOf(places, comparedBytes, limit)) {
    now.count = 0;
    for (const [index, { originOffset }] of group.entries()) {
      const length = Math.min(comparedBytes, volumeBytes - originOffset);
      addPiece(now, originOffset, length, index * comparedBytes);
    }
    await source.data.read(now);
    yield { extents: now, hashes: await engine.hashPieces(now) };
  }
}

/** The first hash of each list, then the second of each, and so on. */
function inTurn(lists: Buffer[]): Buffer {
  const hashes: Buffer[] = [];
  for (let at = 0; at < lists[0]!.length; at += HASH_BYTES) {
    for (const list of lists) hashes.push(list.subarray(at, at + HASH_BYTES));
  }
  return Buffer.concat(hashes);
}

/** How many of so many chunks are compared by one record. */
function groupLimit(comparedBytes: number, chunks = MAX_RECORD_EXTENTS): number {
  return Math.min(chunks, MAX_RECORD_EXTENTS, Math.floor(MAX_PAYLOAD_BYTES / comparedBytes));
}

function newBatch(engine: Engine, comparedBytes: number, limit: number): Batch {
  return createBatch(engine.allocate(limit * comparedBytes), limit);
}

/** Ascending chunks, cut into what fits in a record. */
function* groupsOf(
  pairs: ExceptionPair[],
  comparedBytes: number,
  limit: number,
): Generator<ExceptionPair[]> {
  let group: ExceptionPair[] = [];
  for (const pair of pairs) {
    const last = group.at(-1);
    const fits =
      last === undefined || fitsTable(last.originOffset + comparedBytes, pair.originOffset);
    if (group.length === limit || !fits) {
      yield group;
      group = [];
    }
    group.push(pair);
  }
  if (group.length > 0) yield group;
}

/** Some of the pairs of some areas as one list, so that few requests and questions do. */
async function sampleOf(source: ChangeSource): Promise<ExceptionPair[]> {
  const pairs: ExceptionPair[] = [];
  for await (const ofArea of source.pairs(SAMPLE_AREAS)) {
    pairs.push(...pick(ofArea, SAMPLE_CHUNKS_PER_AREA));
  }
  return pairs.sort((a, b) => a.originOffset - b.originOffset);
}

/** Some of the pairs, still ascending. */
function pick(pairs: ExceptionPair[], count: number): ExceptionPair[] {
  if (pairs.length <= count) return pairs;
  const step = pairs.length / count;
  return Array.from({ length: count }, (_, i) => pairs[Math.floor((i + Math.random()) * step)]!);
}

function mismatch(
  { comparedCount, differingCount, listed }: Comparison,
  which: 'changed' | 'unchanged',
): LvmsyncError {
  const hint =
    which === 'unchanged'
      ? 'it is another volume, or was changed since the copy: copy the whole volume again'
      : 'it is another volume, or was changed since the copy (copy the whole volume again), or the snapshot itself was written to (--no-verify-base)';
  return new LvmsyncError(
    'BASE_MISMATCH',
    `the target does not hold what the changes were made to: of ${comparedCount} ${which} chunks compared ${differingCount} differ, first at ${listed.join(', ')} (offset+bytes)`,
    { hint },
  );
}
