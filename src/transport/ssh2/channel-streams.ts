/** The two directions of an ssh2 channel as streams that end and fail as streams should. */
import { Readable, Writable } from 'node:stream';
import type { Channel } from 'ssh2';

/** Bytes that may wait here before a write asks the sender to hold. */
const WAITING_BYTES = 1 << 20;

/**
 * ssh2's own stream forgets the callback of a write when the channel closes under it, which would
 * leave a writer waiting for ever; this one fails it.
 */
export function inputOf(channel: Channel): Writable {
  let waiting: ((error?: Error | null) => void) | undefined;
  const input = new Writable({
    highWaterMark: WAITING_BYTES,
    write(chunk: Buffer, _encoding, callback) {
      waiting = callback;
      channel.write(chunk, (error) => {
        waiting = undefined;
        callback(error);
      });
    },
    final(callback) {
      channel.end(() => callback());
    },
    destroy(error, callback) {
      waiting?.(error ?? new Error('the channel was closed'));
      callback(error);
    },
  });
  input.on('error', () => {});
  return input;
}

/** Apart from the channel, because destroying ssh2's stream closes it before its exit status. */
export function outputOf(channel: Channel): Readable {
  const output = new Readable({
    highWaterMark: WAITING_BYTES,
    read() {
      channel.resume();
    },
    destroy(error, callback) {
      // Read on and drop it, so that what the far side still prints does not block it.
      channel.off('data', forward);
      channel.resume();
      callback(error);
    },
  });
  function forward(chunk: Buffer) {
    if (!output.push(chunk)) channel.pause();
  }
  channel.on('data', forward);
  channel.on('end', () => output.push(null));
  output.on('error', () => {});
  return output;
}
