/** AES-GCM of the engine's in the place of ssh2's own. */
import { randomFillSync } from 'node:crypto';
import type { Cipher, CipherConfig } from 'ssh2/lib/protocol/crypto.js';
import type { SshSealer } from '../../block/engine.js';

export interface SealingCipher extends Cipher {
  /** What it seals counts as packets of the cipher's. */
  readonly sealer: SshSealer;
  /** Since the connection has ended: nothing is sealed any more, and nothing sent. */
  isFreed: boolean;
}

/** How long a packet's length, the length of its padding and its tag are (RFC 5647, section 7). */
const LENGTH_BYTES = 4;
const PADDING_LENGTH_BYTES = 1;
const TAG_BYTES = 16;
const BLOCK_BYTES = 16;
const LEAST_PADDING_BYTES = 4;
const MOST_PADDING_BYTES = LEAST_PADDING_BYTES + BLOCK_BYTES - 1;

/** How much longer a packet is than its message, at most. */
export const MOST_AROUND_MESSAGE_BYTES =
  LENGTH_BYTES + PADDING_LENGTH_BYTES + MOST_PADDING_BYTES + TAG_BYTES;

export function isSealing(cipher: Cipher): cipher is SealingCipher {
  return 'sealer' in cipher;
}

/** @param outbound where what it encrypts goes, and how many packets there were before */
export function sealingCipher(
  sealer: SshSealer,
  { onWrite, seqno }: CipherConfig['outbound'],
): SealingCipher {
  const cipher: SealingCipher = {
    sealer,
    isFreed: false,
    outSeqno: seqno,
    allocPacket(messageBytes) {
      const paddedBytes = PADDING_LENGTH_BYTES + messageBytes + LEAST_PADDING_BYTES;
      const encryptedBytes = Math.ceil(paddedBytes / BLOCK_BYTES) * BLOCK_BYTES;
      const messageEnd = LENGTH_BYTES + PADDING_LENGTH_BYTES + messageBytes;
      const packet = Buffer.allocUnsafe(LENGTH_BYTES + encryptedBytes + TAG_BYTES);
      packet.writeUInt32BE(encryptedBytes, 0);
      packet[LENGTH_BYTES] = LENGTH_BYTES + encryptedBytes - messageEnd;
      randomFillSync(packet, messageEnd, packet.length - TAG_BYTES - messageEnd);
      return packet;
    },
    encrypt(packet) {
      if (cipher.isFreed) return;
      sealer.sealPacket(packet);
      onWrite(packet);
      cipher.outSeqno = (cipher.outSeqno + 1) >>> 0;
    },
    free() {
      cipher.isFreed = true;
      sealer.close();
    },
  };
  return cipher;
}
