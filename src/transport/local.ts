import { PassThrough, Writable } from 'node:stream';
import { LvmsyncError } from '../errors.js';
import { isTurnOver, nextTurn } from '../extents/turns.js';
import type { ByteSource } from '../stream/bytes.js';
import type { Channel, ChannelEnd } from './channel.js';

/** The receiver's work: reads `input` to its end, may write to `output`. */
export type LocalReceiver = (input: ByteSource, output: Writable) => Promise<void>;

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
  const pipe = localPipe();
  const output = new PassThrough({ highWaterMark: WAITING_BYTES });
  output.on('error', () => {});
  // In a turn of its own: that of the sender, who has just begun, is long enough.
  const end = nextTurn()
    .then(() => run(pipe.source, output))
    .then(
      (): ChannelEnd => ({ status: 0, signal: null }),
      (error: unknown): ChannelEnd => ({
        status: null,
        signal: null,
        error: asLvmsyncError(error),
      }),
    )
    .then((ended) => {
      if (!pipe.readToEnd()) pipe.input.destroy(receiverEnded());
      output.end();
      return ended;
    });
  return {
    description: 'local',
    input: pipe.input,
    output,
    end,
    destroy() {
      pipe.input.destroy();
      output.destroy();
    },
  };
}

interface LocalPipe {
  input: Writable;
  source: ByteSource;
  /** Whether the sender has ended its stream and all of it has been read. */
  readToEnd: () => boolean;
}

function localPipe(): LocalPipe {
  let chunk: Buffer | undefined;
  let chunkRead: (error?: Error | null) => void = () => {};
  let position = 0;
  let state: 'open' | 'ended' | 'broken' = 'open';
  let wakeReader = () => {};

  const input = new Writable({
    highWaterMark: WAITING_BYTES,
    write(next: Buffer, _encoding, callback) {
      if (next.length === 0) return callback();
      chunk = next;
      chunkRead = callback;
      position = 0;
      wakeReader();
    },
    final(callback) {
      state = 'ended';
      callback();
      wakeReader();
    },
    destroy(error, callback) {
      if (state === 'open') state = 'broken';
      if (chunk !== undefined) {
        chunk = undefined;
        chunkRead(error ?? senderGone());
      }
      callback(error);
      wakeReader();
    },
  });
  // A write that fails has told its callback; the reason stands in the channel's end.
  input.on('error', () => {});

  const source: ByteSource = {
    description: 'the local sender',
    async read(into) {
      while (chunk === undefined && state === 'open') {
        await new Promise<void>((resolve) => {
          wakeReader = resolve;
        });
      }
      if (isTurnOver()) await nextTurn();
      const wanted = Math.min(into.length, READ_BYTES);
      let filled = 0;
      // Calling back brings the next waiting write in at once, so one read may drain several.
      while (chunk !== undefined && filled < wanted) {
        const copied = chunk.copy(into, filled, position, position + wanted - filled);
        filled += copied;
        position += copied;
        if (position === chunk.length) {
          chunk = undefined;
          chunkRead();
        }
      }
      if (filled === 0 && state === 'broken') throw senderGone();
      return filled;
    },
  };
  return { input, source, readToEnd: () => state === 'ended' };
}

function asLvmsyncError(error: unknown): LvmsyncError {
  if (error instanceof LvmsyncError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new LvmsyncError('INTERNAL', `the local receiver failed: ${message}`, {
    hint: 'please report it, with the output of --debug',
    cause: error,
  });
}

function senderGone(): LvmsyncError {
  return new LvmsyncError('STREAM_TRUNCATED', 'the local sender stopped before the end', {
    hint: 'its own message says why',
  });
}

function receiverEnded(): LvmsyncError {
  return new LvmsyncError('CONNECTION_LOST', 'the local receiver ended before it had read all', {
    hint: 'its own message says why',
  });
}
