/** Compares a target with a source by hash, and makes what differs the same. */
import { setTimeout as delay } from 'node:timers/promises';
import { type BlockMarks, createBlockMarks } from '../extents/block-marks.js';
import type { ExtentSource } from '../extents/extents.js';
import { type SampleSize, sampleOf } from '../extents/sample.js';
import type { ChangeSource } from '../send/change-source.js';
import { interruptedError } from '../send/send.js';
import { newRun } from '../send/transfer.js';
import { comparedBlockBytes } from '../send/unchanged-blocks.js';
import {
  type ConverseToVerifyOptions,
  converseToVerify,
  type Pass,
  type Verification,
} from '../send/verify.js';
import type { Channel } from '../transport/channel.js';
import {
  type ConversationOptions,
  converseUntilDone,
  type DeliverOptions,
  deliver,
} from './deliver.js';

/** What is compared first. What differs is compared once more, in blocks. */
const FIRST_PIECE_BYTES = 64 << 10;
/** How often what still differs is read once more, where something may be writing, and how far apart. */
const REREADS = 2;
const REREAD_PAUSE_MS = 200;
/** How often what still differs is sent once more. */
const REPAIR_ROUNDS = 5;

/** How a comparison goes, whatever is compared. */
export interface VerifyWishes {
  /** Compare some of it only. */
  sample?: SampleSize | undefined;
  /** Something may be writing to the source: what differs is read again before it is told. */
  live?: boolean | undefined;
  /** Send what differs, and compare it again. */
  repair?: boolean | undefined;
  /** Told the first time what differs, before anything is repaired. */
  onDifferences?: ((differing: ExtentSource) => void) | undefined;
  onNote?: ((line: string) => void) | undefined;
  onWarning?: ((line: string) => void) | undefined;
}

export interface VerifyOptions
  extends VerifyWishes,
    Omit<DeliverOptions, 'protocol' | 'base' | 'skipUnchanged'> {
  /** Its extents are what is compared. */
  source: ChangeSource;
  /** Starts a receiver that answers what its target holds: see `verifyTarget`. */
  openVerifier(onStderr: (chunk: Buffer) => void): Promise<Channel>;
}

export interface VerifyReport {
  /** What was compared first. */
  comparedBytes: number;
  targetBytes: number;
  /** What differed whenever it was read. */
  differing: ExtentSource;
  /** What differed when it was read first and did not later: something is writing there. */
  settledBytes: number;
  /** What was sent. */
  repairedBytes: number;
  /** What still differs: all of `differing` where nothing was repaired. */
  remaining: ExtentSource;
}

/**
 * Compares, and repairs if asked to.
 *
 * @throws LvmsyncError as `deliver`, and TARGET_TOO_SMALL
 */
export async function verify(options: VerifyOptions): Promise<VerifyReport> {
  const { source } = options;
  const report = await verifyBy(source.extents, options, {
    compare: (extents, rereads) => compareExtents(options, extents, rereads),
    async repair(extents) {
      const part = partOf(source, extents);
      return (await deliver({ ...options, source: part, protocol: 4, base: 'none' })).dataBytes;
    },
  });
  await source.recheck();
  return report;
}

/** How two ends are compared and made the same. */
export interface VerifyMeans {
  /** Compares, and what still differs as often again as `rereads` says. */
  compare(extents: ExtentSource, rereads: number): Promise<Comparison>;
  /** Writes what the source holds. @returns how many bytes */
  repair(extents: ExtentSource): Promise<number>;
}

/** Compares the extents, and repairs if asked to. @throws what the means throw */
export async function verifyBy(
  extents: ExtentSource,
  wishes: VerifyWishes,
  { compare, repair: makeSame }: VerifyMeans,
): Promise<VerifyReport> {
  const { sample, live, repair, onDifferences, onNote, onWarning } = wishes;
  const wanted = sample === undefined ? extents : sampleOf(extents, sample, FIRST_PIECE_BYTES);
  // What is going to be repaired is compared again after that.
  const first = await compare(wanted, live && !repair ? REREADS : 0);
  const { differing, comparedBytes, targetBytes, settledBytes } = first;
  onDifferences?.(differing);
  let remaining = differing;
  let repairedBytes = 0;
  for (let round = 1; repair && remaining.totalBytes > 0 && round <= REPAIR_ROUNDS; round++) {
    if (round > 1) {
      onWarning?.(
        `${remaining.totalBytes} bytes differ again after they were sent: the source, or the target, is being written to`,
      );
    }
    onNote?.(`repairing ${remaining.totalBytes} bytes in ${remaining.extentCount} ranges`);
    repairedBytes += await makeSame(remaining);
    remaining = (await compare(remaining, 0)).differing;
  }
  return { comparedBytes, targetBytes, differing, settledBytes, repairedBytes, remaining };
}

function partOf({ discarded: _, ...source }: ChangeSource, extents: ExtentSource): ChangeSource {
  return { ...source, extents, async *pairs() {} };
}

export interface Comparison {
  comparedBytes: number;
  targetBytes: number;
  differing: ExtentSource;
  settledBytes: number;
}

export interface CompareOptions
  extends Omit<ConversationOptions, 'open' | 'protocol'>,
    Omit<ConverseToVerifyOptions, 'channel' | 'answered' | 'run'> {
  /** Starts what answers, for its target, what is asked of it here. */
  openVerifier(onStderr: (chunk: Buffer) => void): Promise<Channel>;
  onNote?: ((line: string) => void) | undefined;
}

/**
 * Goes over the extents, then over what differs in smaller pieces, then over what still differs as
 * often as it is to be reread: in one conversation, or as many as it takes.
 */
export async function compareExtents(
  options: CompareOptions,
  extents: ExtentSource,
  rereads: number,
): Promise<Comparison> {
  const { source, openVerifier, signal, onNote } = options;
  const { volumeBytes } = source;
  const blockBytes = comparedBlockBytes(source);
  const run = newRun();
  /** What has differed, pass by pass. */
  const found: ExtentSource[] = [];
  let marks = createBlockMarks(volumeBytes, blockBytes);
  let pass = passOver(extents, FIRST_PIECE_BYTES, marks);
  const first = pass;
  let targetBytes = 0;
  let done = false;

  async function talk({ target, compare: goOver }: Verification): Promise<void> {
    targetBytes = target.sizeBytes;
    while (!done) {
      if (found.length > 1) await pause(signal);
      await goOver(pass);
      const differing = await marks.toExtents();
      onNote?.(
        `compared ${pass.comparedBytes} bytes in pieces of ${pass.pieceBytes}: ${differing.totalBytes} differ`,
      );
      found.push(differing);
      done = differing.totalBytes === 0 || found.length === 2 + rereads;
      marks = createBlockMarks(volumeBytes, blockBytes);
      pass = passOver(differing, blockBytes, marks);
    }
  }

  await converseUntilDone(
    { ...options, protocol: 4, open: (_, onStderr) => openVerifier(onStderr) },
    (channel, answered) => converseToVerify({ ...options, channel, answered, run }, talk),
  );
  const [inPieces, inBlocks = inPieces] = found.map(({ totalBytes }) => totalBytes);
  const differing = found.at(-1)!;
  const before = inBlocks === 0 ? inPieces : inBlocks;
  const settledBytes = (before ?? 0) - differing.totalBytes;
  return { comparedBytes: first.comparedBytes, targetBytes, differing, settledBytes };
}

function passOver(extents: ExtentSource, pieceBytes: number, marks: BlockMarks): Pass {
  return { extents, pieceBytes, doneOffset: 0, comparedBytes: 0, onDifference: marks.mark };
}

async function pause(signal: AbortSignal | undefined): Promise<void> {
  await delay(REREAD_PAUSE_MS, undefined, { ...(signal && { signal }) }).catch(() => {
    throw interruptedError();
  });
}
