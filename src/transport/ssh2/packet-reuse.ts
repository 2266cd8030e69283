/** Packets of ssh2's own making, in memory that is used again. */
import { randomFillSync } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Cipher, CipherConfig, CreateCipher } from 'ssh2/lib/protocol/crypto.js';

/** A packet's length and that of its padding, before its message: RFC 4253, section 6. */
const HEADER_BYTES = 4 + 1;
/** Shorter ones are not worth it. */
const LEAST_MESSAGE_BYTES = 4 << 10;
/** All of an SSH channel's window, in packets of 32 KiB. */
const MAX_FREE = 64;

/**
 * What `own` makes, which encrypts packets in their place, and writes them to `socket`. The longest
 * ones, those full of data, get the memory of others that were written: V8 counts a fresh one for
 * each as old garbage, and collects all of it in one go, 4 to 9 ms, for some dozens of mebibytes.
 */
export function reusePackets(own: CreateCipher, config: CipherConfig, socket: Duplex): Cipher {
  const { outbound } = config;
  const free: Buffer[] = [];
  const header = Buffer.alloc(HEADER_BYTES);
  let messageBytes = LEAST_MESSAGE_BYTES;
  let packetBytes = 0;

  function write(packet: Buffer): void {
    if (packet.length !== packetBytes || !socket.writable) {
      outbound.onWrite(packet);
      return;
    }
    socket.write(packet, () => {
      if (packet.length === packetBytes && free.length < MAX_FREE) free.push(packet);
    });
  }

  const cipher = own({ ...config, outbound: { ...outbound, onWrite: write } });
  const allocate = cipher.allocPacket.bind(cipher);
  cipher.allocPacket = (bytes) => {
    const used = bytes === messageBytes ? free.pop() : undefined;
    if (used !== undefined) {
      header.copy(used);
      randomFillSync(used, HEADER_BYTES + bytes);
      return used;
    }
    const packet = allocate(bytes);
    if (bytes > messageBytes) {
      messageBytes = bytes;
      packetBytes = packet.length;
      packet.copy(header, 0, 0, HEADER_BYTES);
      free.length = 0;
    }
    return packet;
  };
  return cipher;
}
