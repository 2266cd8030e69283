import type { Duplex } from 'node:stream';
import type { Channel, Client } from 'ssh2';
import { isTurnOver, nextTurn } from '../../extents/turns.js';
import { insidesOf, type Outgoing, protocolOf } from './internals.js';
import { isSealing, MOST_AROUND_MESSAGE_BYTES, type SealingCipher } from './sealing-cipher.js';

/** Data for one call of the engine, and for one of the kernel. */
const BATCH_BYTES = 256 << 10;
/** Every server takes so much in a packet, whatever else it names: RFC 4253, section 6.1. */
const MOST_PACKET_BYTES = 32 << 10;
/** Where a server takes less in a packet, each goes as ssh2 has it. */
const LEAST_PACKET_BYTES = 4 << 10;
/** The type of a message with data, its channel and its length: RFC 4254, section 5.2. */
const DATA_HEADER_BYTES = 1 + 4 + 4;
const SEALED_BYTES =
  BATCH_BYTES +
  (BATCH_BYTES / LEAST_PACKET_BYTES) * (MOST_AROUND_MESSAGE_BYTES + DATA_HEADER_BYTES);
/**
 * The windows of sixteen channels, 2 MiB each, fill no more. What is made beyond that is not kept, and
 * V8 collects all of its garbage in one go for some dozens of mebibytes of it.
 */
const MAX_FREE = 128;

/**
 * ssh2 allocates, fills, encrypts and writes each packet of 32 KiB by itself, which takes twice as
 * long as the encryption. What is written to the channels that are given to the answer goes as many
 * packets at a time, as long as the engine is the cipher of `client`.
 */
export function batchChannels(client: Client, socket: Duplex): (channel: Channel) => void {
  const protocol = protocolOf(client);
  const free: Buffer[] = [];

  /** Sends as much as this turn of the event loop is for, and tells how many bytes that were. */
  function send(cipher: SealingCipher, { id, packetSize }: Outgoing, data: Buffer): number {
    const packetBytes = Math.min(packetSize, MOST_PACKET_BYTES);
    let sent = 0;
    while (sent < data.length && !isTurnOver()) {
      const part = data.subarray(sent, sent + BATCH_BYTES);
      const buffer = free.pop() ?? Buffer.allocUnsafeSlow(SEALED_BYTES);
      const sealedBytes = cipher.sealer.sealData(id, packetBytes, part, buffer);
      cipher.outSeqno = (cipher.outSeqno + Math.ceil(part.length / packetBytes)) >>> 0;
      sent += part.length;
      if (!socket.writable) return data.length;
      socket.write(buffer.subarray(0, sealedBytes), () => {
        if (free.length < MAX_FREE) free.push(buffer);
      });
    }
    return sent;
  }

  return (channel) => {
    const insides = insidesOf(channel);
    const writeByPacket = insides._write;
    insides._write = (data, encoding, callback) => {
      const { outgoing } = insides;
      const { _cipher: cipher, _kexinit: exchange } = protocol;
      // Once the connection has ended, what is still written vanishes, as ssh2 has it. No write may
      // fail: the channel would never tell its end, and whoever reads from it wait for ever.
      const isBatch =
        exchange === undefined &&
        isSealing(cipher) &&
        !cipher.isFreed &&
        outgoing.packetSize >= LEAST_PACKET_BYTES;
      if (!isBatch || outgoing.state !== 'open') {
        writeByPacket.call(channel, data, encoding, callback);
        return;
      }
      const bytes = Math.min(data.length, outgoing.window);
      let sent: number;
      try {
        sent = send(cipher, outgoing, data.subarray(0, bytes));
      } catch (error) {
        socket.destroy(error as Error);
        return;
      }
      outgoing.window -= sent;
      if (sent < bytes) {
        void nextTurn().then(() => insides._write(data.subarray(sent), encoding, callback));
        return;
      }
      if (bytes === data.length) {
        callback();
        return;
      }
      insides._waitWindow = true;
      insides._chunk = data.subarray(bytes);
      insides._chunkcb = callback;
    };
  };
}
