import { EventEmitter } from 'node:events';
import { LvmsyncError } from '../errors.js';
import { isTurnOver, nextTurn } from '../extents/turns.js';
import type { ByteSink, ByteSource } from '../stream/bytes.js';
import type { Answers, Channel, ChannelEnd } from './channel.js';
import { createWaiters } from './waiters.js';

/** The receiver's work: reads `input` to its end, may write to `output`. */
export type LocalReceiver = (input: ByteSource, output: ByteSink) => Promise<void>;

/** Bytes that may wait in the channel before `write` asks the sender to hold. */
const WAITING_BYTES = 1 << 20;

/** At a time, at the most: where it goes to there may be no memory behind it yet. */
const READ_BYTES = 256 << 10;

/**
 * A receiver in this process: what the sender writes, `run` reads. A write's callback fires once
 * all of its bytes have been read, and not before, so the sender may then reuse the buffer.
 * What `run` throws comes out of `end`; a write after `run` has ended fails, it never waits.
 */
export function localChannel(run: LocalReceiver): Channel {
  const sent = localPipe('the local sender');
  const answered = localPipe('the local receiver');
  // In a turn of its own: that of the sender, who has just begun, is long enough.
  const end = nextTurn()
    .then(() => run(sent.source, answered.sink))
    .then(
      (): ChannelEnd => ({ status: 0, signal: null }),
      (error: unknown): ChannelEnd => ({
        status: null,
        signal: null,
        error: asLvmsyncError(error),
      }),
    )
    .then((ended) => {
      sent.sink.destroy(receiverEnded());
      answered.sink.end();
      return ended;
    });
  return {
    description: 'local',
    input: sent.sink,
    answers: answered.source,
    end,
    destroy() {
      sent.sink.destroy();
      answered.sink.destroy();
    },
  };
}

interface Waiting {
  bytes: Buffer;
  written: ((failure?: Error | null) => void) | undefined;
}

/** What is written to `sink` waits until it is read from `source`: nothing is copied before. */
function localPipe(description: string): { sink: ByteSink; source: Answers } {
  const events = new EventEmitter();
  const waiting: Waiting[] = [];
  let waitingBytes = 0;
  /** Of the first that waits. */
  let position = 0;
  let isFull = false;
  let isEnded = false;
  let isDestroyed = false;
  let isDiscarding = false;
  /** What it was destroyed for before all had been read. */
  let broken: Error | undefined;
  const readers = createWaiters();

  function take(into: Buffer, wantedBytes: number): number {
    let filled = 0;
    for (let first = waiting[0]; first !== undefined && filled < wantedBytes; first = waiting[0]) {
      const { bytes, written } = first;
      const copied = bytes.copy(into, filled, position, position + wantedBytes - filled);
      filled += copied;
      position += copied;
      free(copied);
      if (position < bytes.length) break;
      waiting.shift();
      position = 0;
      written?.();
    }
    return filled;
  }

  function free(bytes: number): void {
    waitingBytes -= bytes;
    if (!isFull || waitingBytes >= WAITING_BYTES) return;
    isFull = false;
    events.emit('drain');
  }

  function drop(): void {
    free(waitingBytes);
    position = 0;
    for (const { written } of waiting.splice(0)) written?.(broken);
  }

  const sink: ByteSink = {
    get writableNeedDrain() {
      return isFull;
    },
    get writableEnded() {
      return isEnded;
    },
    get destroyed() {
      return isDestroyed;
    },
    write(bytes, written) {
      if (isDestroyed || isEnded) return written?.(broken ?? new Error('it has ended'));
      if (isDiscarding || bytes.length === 0) return written?.();
      waiting.push({ bytes, written });
      waitingBytes += bytes.length;
      isFull = waitingBytes >= WAITING_BYTES;
      readers.wake();
    },
    end() {
      isEnded = true;
      readers.wake();
    },
    destroy(reason = gone(description)) {
      if (isDestroyed) return;
      isDestroyed = true;
      if (!isEnded || waiting.length > 0) broken = reason;
      drop();
      events.emit('close');
      readers.wake();
    },
    on: (event: 'error' | 'close' | 'drain', listener: (failure: Error) => void) =>
      events.on(event, listener),
  };

  async function arrive(): Promise<boolean> {
    while (waiting.length === 0 && !isEnded && !isDestroyed) {
      await readers.wait();
    }
    return waiting.length > 0;
  }

  const source: Answers = {
    description,
    arrive,
    async read(into) {
      while (await arrive()) {
        if (isTurnOver()) await nextTurn();
        // Somebody may have dropped it meanwhile.
        if (waiting.length > 0) return take(into, Math.min(into.length, READ_BYTES));
      }
      if (broken !== undefined) throw gone(description);
      return 0;
    },
    discard() {
      isDiscarding = true;
      drop();
    },
  };
  return { sink, source };
}

function asLvmsyncError(error: unknown): LvmsyncError {
  if (error instanceof LvmsyncError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new LvmsyncError('INTERNAL', `the local receiver failed: ${message}`, {
    hint: 'please report it, with the output of --debug',
    cause: error,
  });
}

function gone(description: string): LvmsyncError {
  return new LvmsyncError('STREAM_TRUNCATED', `${description} stopped before the end`, {
    hint: 'its own message says why',
  });
}

function receiverEnded(): LvmsyncError {
  return new LvmsyncError('CONNECTION_LOST', 'the local receiver ended before it had read all', {
    hint: 'its own message says why',
  });
}
