/**
 * Leaves out of a transfer the blocks of changed chunks that are as they were. The exception store
 * says which may be; it proves nothing about the target: of a chunk that was written on the
 * snapshot the store holds the snapshot's data, and an interrupted run may have left anything. So
 * the receiver is asked, and only what it answers to hold already is left out.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import type { ExtentSource } from '../extents/extents.js';
import { createRemaining } from '../extents/remaining.js';
import type { StreamWriter } from '../transport/stream-writer.js';
import type { RunWatcher } from '../watcher.js';
import type { ChangeSource } from './change-source.js';
import { compareGroups } from './compare.js';
import { createDeferred } from './deferred.js';
import type { Inbox } from './inbox.js';
import { type Compared, createPacer } from './skip-pacer.js';
import { comparedBlockBytes, unchangedBlocks } from './unchanged-blocks.js';

/**
 * `always`: everything is compared before anything is sent. `auto`: large chunks only, and only as
 * long as that is faster than to send.
 */
export type SkipUnchanged = 'always' | 'auto' | 'never';

export interface SkipOptions {
  source: ChangeSource;
  engine: Engine;
  skipUnchanged?: SkipUnchanged | undefined;
  /** What there is to send. */
  extents: ExtentSource;
  /** Below it nothing is compared: it has been, or is known to differ. */
  resumeOffset: number;
  writer: StreamWriter;
  inbox: Inbox;
  onNote?: ((line: string) => void) | undefined;
  onWarning?: ((line: string) => void) | undefined;
  watcher?: RunWatcher | undefined;
}

export interface Skipping {
  /** What is left to send, decided no sooner than it is asked for. */
  readonly extents: Pick<ExtentSource, 'slices'>;
  /** To be called before sending begins. @returns how many bytes are left out so far */
  startSending(): number;
  /** How many bytes are left out so far. */
  heldBytes(): number;
  /**
   * To be called after each buffer with how many bytes of stream were sent in all. Sending pauses until
   * it resolves. @throws what comparing failed with
   */
  onSent(sentBytes: number): Promise<void>;
  /** To be called when all have been sent. @throws what comparing failed with */
  finish(): Promise<void>;
  /** Compares no more. */
  stop(): void;
}

/** `auto` leaves chunks up to this alone: most of such a chunk has changed, or all of it. */
const SMALL_CHUNK_BYTES = 16 << 10;
/** `auto` leaves smaller transfers alone. */
const WORTHWHILE_BYTES = 1 << 20;
/** `auto` compares so long from the first answer on, in milliseconds, before anything is sent. */
const HEAD_START_MS = 100;
/** But only so much, unless half of it is unchanged. */
const SAMPLE_BYTES = 8 << 20;
/** Questions of 256 extents, 1 MiB, at the most. */
const CHECKS_IN_FLIGHT = 64;

/** @throws what comparing fails with before sending may begin */
export async function skipUnchanged(options: SkipOptions): Promise<Skipping> {
  const { source, skipUnchanged: mode, extents, resumeOffset, writer, inbox, watcher } = options;
  if (!comparesBlocks(options)) {
    const none = () => 0;
    const nothing = async () => {};
    return {
      ...{ extents, startSending: none, heldBytes: none },
      ...{ onSent: nothing, finish: nothing, stop() {} },
    };
  }
  watcher?.phase('compare', extents.totalBytes);
  let isSending = false;
  const remaining = createRemaining(extents, comparedBlockBytes(source));
  const pacer = createPacer();
  let comparedBytes = 0;
  const compared: Compared = { askedBytes: 0, answeredBytes: 0, heldBytes: 0 };
  const { promise: sampled, resolve: endSample } = createDeferred();
  const { promise: answered, resolve: tellAnswered } = createDeferred();

  const groups = unchangedBlocks({
    ...options,
    firstOffset: () => Math.max(resumeOffset, remaining.frontier),
    goesOn: () => pacer.goesOn(compared),
    onCompared(bytes, equalBytes) {
      comparedBytes += bytes;
      if (!isSending) watcher?.advance(bytes);
      compared.askedBytes += equalBytes;
      const isSample = comparedBytes >= SAMPLE_BYTES;
      if (isSample && compared.askedBytes < comparedBytes / 2) endSample();
    },
  });
  const comparing = compareGroups(groups, {
    writer,
    inbox,
    limitBytes: source.volumeBytes,
    checksInFlight: CHECKS_IN_FLIGHT,
    onEqual(offset, length) {
      tellAnswered();
      compared.answeredBytes += length;
      const heldBytes = remaining.remove(offset, length);
      compared.heldBytes += heldBytes;
      watcher?.saved('unchanged', heldBytes);
      if (isSending) watcher?.advance(heldBytes);
    },
    onDifference(_, length) {
      tellAnswered();
      compared.answeredBytes += length;
    },
  }).then(pacer.stop, (error: unknown) => {
    pacer.stop();
    // What cannot be compared is sent. If it is the data that cannot be read, sending will fail.
    if (!(error instanceof LvmsyncError) || error.code !== 'READ_FAILED') throw error;
    options.onWarning?.(`unchanged blocks are sent too: ${error.message}`);
  });
  comparing.catch(() => undefined); // met by who waits for it

  async function headStart(): Promise<void> {
    await Promise.race([answered, delay(HEAD_START_MS, undefined, { ref: false })]);
    if (compared.askedBytes === 0) return;
    await answered;
    await delay(HEAD_START_MS, undefined, { ref: false });
  }

  if (mode === 'always') {
    await comparing;
  } else {
    await Promise.race([comparing, sampled, headStart()]);
    pacer.pause();
  }

  return {
    extents: remaining,
    startSending() {
      isSending = true;
      return compared.heldBytes;
    },
    heldBytes: () => compared.heldBytes,
    async onSent(sentBytes) {
      if (pacer.resume(sentBytes, compared)) await comparing;
    },
    async finish() {
      pacer.stop();
      await comparing;
      options.onNote?.(
        `unchanged blocks: ${comparedBytes} bytes were compared, ${compared.askedBytes} of them are as they were, ${compared.heldBytes} were found on the target and not sent`,
      );
    },
    stop: pacer.stop,
  };
}

/** Whether anything may be left out. */
export function comparesBlocks({
  skipUnchanged: mode,
  extents,
  source,
}: Pick<SkipOptions, 'skipUnchanged' | 'extents' | 'source'>): boolean {
  if (mode !== 'auto') return mode === 'always' && extents.totalBytes > 0;
  return source.chunkBytes > SMALL_CHUNK_BYTES && extents.totalBytes >= WORTHWHILE_BYTES;
}
