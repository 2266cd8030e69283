import { nowMs } from '../clock.js';
import { LvmsyncError } from '../errors.js';
import type { ByteSink } from '../stream/bytes.js';
import type { Bandwidth } from './bandwidth.js';
import { createWaiters } from './waiters.js';

/** Back-pressure and failure of a sink as promises. */
export interface StreamWriter {
  /**
   * Resolves when more may be written.
   *
   * @param settled called once: when `bytes` may be reused, or with what the writer failed with. They
   *   may be in the sink's queue then, and on their way yet: they must stay what they are.
   * @throws what the writer failed with
   */
  write(bytes: Buffer, settled?: (error?: LvmsyncError) => void): Promise<void>;
  /** Waits until everything written has been taken. @throws what the writer failed with */
  finish(): Promise<void>;
  /** Makes every present and later call throw `error`, unless it has failed already. */
  fail(error: LvmsyncError): void;
  /** When bytes were last written, as `nowMs()` tells. */
  readonly lastWriteAt: number;
}

/** @param bandwidth holds what is written back, and counts it */
export function createStreamWriter(output: ByteSink, bandwidth?: Bandwidth): StreamWriter {
  const outstanding = new Set<(error?: LvmsyncError) => void>();
  const { wait, wake: wakeAll } = createWaiters();
  let failure: LvmsyncError | undefined;
  let lastWriteAt = nowMs();
  /** What is being written in pieces, as a limit allows: whatever comes next has to wait for it. */
  let inPieces: Promise<void> | undefined;

  function fail(error: LvmsyncError): void {
    if (failure !== undefined) return;
    failure = error;
    // A stream that broke may never call back: nobody may wait for that.
    for (const settle of outstanding) settle(error);
    outstanding.clear();
    wakeAll();
  }

  function lost(cause: unknown): void {
    fail(
      new LvmsyncError('CONNECTION_LOST', 'the receiver stopped taking data', {
        hint: 'see what the receiver said; the target is incomplete',
        cause,
      }),
    );
  }
  output.on('error', lost);
  output.on('close', () => lost(undefined));
  output.on('drain', wakeAll);

  async function until(condition: () => boolean): Promise<void> {
    while (failure === undefined && !condition()) {
      await wait();
    }
    if (failure !== undefined) throw failure;
  }

  function put(bytes: Buffer, written?: () => void): void {
    lastWriteAt = nowMs();
    output.write(bytes, (error) => {
      if (error) lost(error);
      written?.();
    });
  }

  async function putInPieces(
    bytes: Buffer,
    written: () => void,
    { take }: Bandwidth,
    before: Promise<void> | undefined,
  ): Promise<void> {
    await before;
    let at = 0;
    do {
      const end = at + (await take(bytes.length - at));
      if (failure !== undefined) throw failure;
      put(bytes.subarray(at, end), end === bytes.length ? written : undefined);
      at = end;
      await until(() => !output.writableNeedDrain);
    } while (at < bytes.length);
  }

  return {
    get lastWriteAt() {
      return lastWriteAt;
    },
    async write(bytes, settled) {
      const settle = (error?: LvmsyncError) => settled?.(error);
      if (failure !== undefined) {
        settle(failure);
        throw failure;
      }
      outstanding.add(settle);
      const written = () => {
        if (outstanding.delete(settle)) settle();
        if (outstanding.size === 0) wakeAll();
      };
      if (bandwidth !== undefined && (bandwidth.bytesPerSecond > 0 || inPieces !== undefined)) {
        const writing = putInPieces(bytes, written, bandwidth, inPieces);
        inPieces = writing;
        try {
          await writing;
        } finally {
          if (inPieces === writing) inPieces = undefined;
        }
        return;
      }
      bandwidth?.pass(bytes.length);
      put(bytes, written);
      await until(() => !output.writableNeedDrain);
    },
    finish: () => until(() => outstanding.size === 0),
    fail,
  };
}
