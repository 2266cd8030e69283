import { LvmsyncError } from '../errors.js';
import { stat } from '../files.js';
import { addPiece, type Batch, createBatch, type Ranges } from './batch.js';
import { createClearing, type KernelClearing } from './clearing.js';
import type { BlockFile, Engine, OpenOptions } from './engine.js';
import { flushError, type IoFailure, ioError, pastEndError } from './io-errors.js';
import { readSize } from './js-geometry.js';

/** What is known of a file once it is open. */
export interface FileFacts {
  path: string;
  kind: 'block-device' | 'file';
  sizeBytes: number;
  blockBytes: number;
}

/** What an engine supplies: plain I/O on an open file. Failures are values, not exceptions. */
export interface RawFile {
  read(batch: Batch): Promise<IoFailure | undefined>;
  write(batch: Batch): Promise<IoFailure | undefined>;
  readonly kernel?: KernelClearing;
  /** Resolves to the errno name of a failure. */
  flush(): Promise<string | undefined>;
  /** Called once, with nothing in flight. Resolves to the errno name of a failure. */
  close(): Promise<string | undefined>;
}

type Transfer = (batch: Batch) => Promise<IoFailure | undefined>;
type TransferError = 'READ_FAILED' | 'WRITE_FAILED';

/** Makes a `BlockFile` of an engine's raw file: checks, errors and orderly closing, for both. */
export function createBlockFile(
  facts: FileFacts,
  mode: OpenOptions['mode'],
  raw: RawFile,
  engine: Pick<Engine, 'allocate' | 'findZeroBlocks'>,
): BlockFile {
  const { path } = facts;
  const inFlight = new Set<Promise<unknown>>();
  let closing: Promise<void> | undefined;
  let flushed: Promise<string | undefined> = Promise.resolve(undefined);

  function track<T>(work: Promise<T>): Promise<T> {
    const settled: Promise<unknown> = work.then(
      () => inFlight.delete(settled),
      () => inFlight.delete(settled),
    );
    inFlight.add(settled);
    return work;
  }

  async function transfer(code: TransferError, run: Transfer, batch: Batch): Promise<void> {
    checkPositions(batch, facts);
    const failure = await runAndPinpoint(run, batch);
    if (failure?.errno === 'ENOSPC') await assertNotShrunk(facts); // how a device says "beyond me"
    if (failure) throw ioError(code, path, failure.offset, failure.errno);
  }

  async function start<T extends Ranges>(
    code: TransferError,
    work: (ranges: T) => Promise<void>,
    ranges: T,
  ): Promise<void> {
    if (ranges.count === 0) return;
    checkRanges(ranges, facts);
    const allowed = code === 'READ_FAILED' || mode === 'write';
    if (closing || !allowed) throw ioError(code, path, ranges.offsets[0]!, 'EBADF');
    await track(work(ranges));
  }

  const read = (batch: Batch) => transfer('READ_FAILED', raw.read, batch);
  const write = (batch: Batch) => transfer('WRITE_FAILED', raw.write, batch);
  const clearing = createClearing({ engine, kernel: raw.kernel, read, write });

  async function closeOnce(): Promise<void> {
    await Promise.all(inFlight);
    const errno = await raw.close();
    if (errno !== undefined) throw flushError(path, errno);
  }

  return {
    ...facts,
    read: (batch) => start('READ_FAILED', read, batch),
    write: (batch) => start('WRITE_FAILED', write, batch),
    zero: (ranges) => start('WRITE_FAILED', clearing.zero, ranges),
    get writesZeroesBelow() {
      return clearing.writesZeroesBelow;
    },
    discard: (ranges) => start('WRITE_FAILED', clearing.discard, ranges),
    async flush() {
      if (closing) throw flushError(path, 'EBADF');
      // The system tells of a lost write once: the next flush would say that all is well.
      flushed = flushed.then((earlier) => earlier ?? raw.flush());
      const errno = await track(flushed);
      if (errno !== undefined) throw flushError(path, errno);
      if (mode === 'write') await assertNotShrunk(facts);
    },
    close() {
      closing ??= closeOnce();
      return closing;
    },
  };
}

/**
 * A device that lost its end where nothing was written fails no write, and is no longer the copy
 * that it is about to be called.
 *
 * @throws LvmsyncError WRITE_FAILED
 */
async function assertNotShrunk({ path, kind, sizeBytes }: FileFacts): Promise<void> {
  const stats = await stat(path, { bigint: true }).catch(() => undefined);
  const isSame = kind === 'block-device' ? stats?.isBlockDevice() : stats?.isFile();
  if (stats === undefined || !isSame) return;
  const sizeNow = await readSize(stats);
  if (sizeNow < sizeBytes) throw ioError('WRITE_FAILED', path, sizeNow, undefined);
}

/** @throws LvmsyncError PAST_END; INTERNAL when the ranges themselves make no sense */
function checkRanges({ count, offsets, lengths }: Ranges, facts: FileFacts): void {
  for (let index = 0; index < count; index++) {
    const offset = offsets[index]!;
    const length = lengths[index]!;
    const sane = Number.isSafeInteger(offset) && offset >= 0 && length > 0;
    if (!sane) throw malformedError(index, facts);
    if (offset + length > facts.sizeBytes) {
      throw pastEndError(facts.path, offset, length, facts.sizeBytes);
    }
  }
}

/** @throws LvmsyncError INTERNAL when a piece lies outside the buffer */
function checkPositions({ buffer, count, lengths, positions }: Batch, facts: FileFacts): void {
  for (let index = 0; index < count; index++) {
    const fits = positions[index]! + lengths[index]! <= buffer.length;
    if (!fits) throw malformedError(index, facts);
  }
}

function malformedError(index: number, { path }: FileFacts): LvmsyncError {
  return new LvmsyncError('INTERNAL', `piece ${index} of a batch is malformed`, {
    path,
    hint: 'this is an error in lvmsync: please report it',
  });
}

/**
 * Pieces travel joined, and the kernel does not say where in a joined request it failed. So the
 * pieces of a failed request are tried one by one, and the failure names the first that fails.
 */
async function runAndPinpoint(run: Transfer, batch: Batch): Promise<IoFailure | undefined> {
  const failure = await run(batch);
  if (!failure) return undefined;
  const suspects = piecesWithin(batch, failure);
  if (suspects.length > 1) {
    const single = createBatch(batch.buffer, 1);
    for (const index of suspects) {
      single.count = 0;
      const offset = batch.offsets[index]!;
      addPiece(single, offset, batch.lengths[index]!, batch.positions[index]!);
      const again = await run(single);
      if (again) return { ...again, offset };
    }
  }
  return { ...failure, offset: batch.offsets[suspects[0] ?? 0]! };
}

/** Indices of the pieces that a failed request covers, ascending on the device. */
function piecesWithin(batch: Batch, { offset, length }: IoFailure): number[] {
  const indices: number[] = [];
  for (let index = 0; index < batch.count; index++) {
    const start = batch.offsets[index]!;
    if (start < offset + length && start + batch.lengths[index]! > offset) indices.push(index);
  }
  return indices.sort((a, b) => batch.offsets[a]! - batch.offsets[b]!);
}
