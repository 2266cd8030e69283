/** How much may be under way in a channel to a server that is near. */
import type { Channel } from 'ssh2';
import { insidesOf, type Outgoing } from './internals.js';

/**
 * What its command has not read yet sshd keeps in one buffer, and copies it into a new one for every
 * packet that does not fit (sshbuf_allocate in sshbuf.c): until there is room for a window of 2 MiB,
 * the pages of some 80 such buffers, 100 MiB in all, are touched for the first time. And what waits
 * so long is in no processor cache any more. Of sshd's time for a GiB that is a seventh, and a third
 * on a busy machine.
 */
const NEAR_WINDOW_BYTES = 512 << 10;
/** What is enough for 4 Gbit/s, for each millisecond of the way there and back. */
const WINDOW_BYTES_PER_MS = 512 << 10;

/** The window of one channel, as short as the way to the server allows. */
export interface ShortWindow {
  /** Before anything is written to the channel. */
  hold(channel: Channel): void;
  /** How long the way to the server and back is, in milliseconds. */
  allowFor(roundTripMs: number): void;
}

/**
 * RFC 4254, section 5.2: a window need not be used up. But a server may wait until half of it is
 * before it allows more, and then it would never do so. OpenSSH allows more for each three packets
 * (channel_check_window in channels.c); all others have their whole window used.
 *
 * @param software as the server names it
 */
export function shortWindow(software: string): ShortWindow {
  let outgoing: Outgoing | undefined;
  let heldBytes = 0;
  let usedBytes = software.startsWith('OpenSSH_') ? NEAR_WINDOW_BYTES : Number.POSITIVE_INFINITY;
  return {
    hold(channel) {
      outgoing = insidesOf(channel).outgoing;
      heldBytes = Math.max(0, outgoing.window - usedBytes);
      outgoing.window -= heldBytes;
    },
    allowFor(roundTripMs) {
      const moreBytes = Math.max(0, Math.ceil(roundTripMs * WINDOW_BYTES_PER_MS) - usedBytes);
      usedBytes += moreBytes;
      if (outgoing === undefined) return;
      const givenBytes = Math.min(heldBytes, moreBytes);
      heldBytes -= givenBytes;
      outgoing.window += givenBytes;
    },
  };
}
