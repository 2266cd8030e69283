import assert from 'node:assert/strict';
import { createDecipheriv } from 'node:crypto';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import ciphers, { type CipherConfig } from 'ssh2/lib/protocol/crypto.js';
import { reusePackets } from '#lvmsync/transport/ssh2/packet-reuse.js';
import { canHaveSsh2Addon } from '../../support/newer-node.js';

const KEY = Buffer.alloc(16, 0x5a);
const HEADER_BYTES = 5;
const TAG_BYTES = 16;

/** A socket that is always behind: what it is given leaves when the test says so. */
function slowSocket() {
  const sent: Buffer[] = [];
  const leaving: (() => void)[] = [];
  const socket = new Duplex({
    highWaterMark: 1 << 20,
    write(packet: Buffer, _encoding, done) {
      leaving.push(() => {
        sent.push(Buffer.from(packet));
        done();
      });
    },
  });
  const passOn = () => {
    for (let leave = leaving.shift(); leave !== undefined; leave = leaving.shift()) leave();
  };
  return { socket, sent, passOn };
}

/** AES-128-GCM of ssh2's, from the first packet of a connection on. */
function cipherTo(socket: Duplex, onWrite: (packet: Buffer) => void) {
  const outbound: CipherConfig['outbound'] = {
    onWrite,
    seqno: 0,
    cipherInfo: { sslName: 'aes-128-gcm', keyLen: 16, ivLen: 12 },
    cipherKey: Buffer.from(KEY),
    cipherIV: Buffer.alloc(12),
  };
  return reusePackets(ciphers.createCipher, { outbound }, socket);
}

/** RFC 5647: the length is not encrypted, and the counter of packets is the end of the IV. */
function messageOf(packet: Buffer, seqno: number): Buffer {
  const iv = Buffer.alloc(12);
  iv.writeUInt32BE(seqno, 8);
  const decipher = createDecipheriv('aes-128-gcm', KEY, iv);
  decipher.setAAD(packet.subarray(0, 4));
  decipher.setAuthTag(packet.subarray(-TAG_BYTES));
  const plain = decipher.update(packet.subarray(4, -TAG_BYTES));
  decipher.final();
  assert.equal(packet.readUInt32BE(0), plain.length);
  return plain.subarray(1, plain.length - plain[0]!);
}

const messageAt = (number: number, bytes: number) => Buffer.alloc(bytes, number);

/** Of the addon of ssh2 alone: without it each packet is encrypted into memory of its own. */
const options = { skip: canHaveSsh2Addon ? false : 'ssh2 has no addon here' };

test(
  'when packets leave late then none is overwritten before, and their memory is used again',
  options,
  async () => {
    const { socket, sent, passOn } = slowSocket();
    const cipher = cipherTo(socket, (packet) => socket.write(packet));
    const memory = new Set<ArrayBufferLike>();
    const messages: Buffer[] = [];
    for (let round = 0; round < 40; round++) {
      for (const bytes of [32_777, 100, 32_777, 20_000]) {
        const message = messageAt(messages.length, bytes);
        const packet = cipher.allocPacket(bytes);
        if (bytes === 32_777) memory.add(packet.buffer);
        packet.set(message, HEADER_BYTES);
        cipher.encrypt(packet);
        messages.push(message);
      }
      await nextTurn();
      while (round % 4 === 3 && sent.length < messages.length) {
        passOn();
        await nextTurn();
      }
    }
    assert.deepEqual(sent.map(messageOf), messages);
    assert.equal(memory.size, 8, 'as much as was on its way at once');
    cipher.free();
  },
);

test(
  'when the socket is gone then a packet is left to what else writes to it',
  options,
  async () => {
    const { socket } = slowSocket();
    const left: Buffer[] = [];
    const cipher = cipherTo(socket, (packet) => left.push(packet));
    const packet = cipher.allocPacket(32_777);
    socket.destroy();
    cipher.encrypt(packet);
    await nextTurn(); // in which a socket would fail that was written to all the same
    assert.deepEqual(left, [packet]);
    cipher.free();
  },
);
