import assert from 'node:assert/strict';
import { createDecipheriv, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { SshSealer } from '#lvmsync/block/engine.js';
import { loadEngine } from '#lvmsync/block/engines.js';

const { engine } = loadEngine('native');
const CHANNEL_DATA = 94;
const TAG_BYTES = 16;

interface Keys {
  key: Buffer;
  iv: Buffer;
}

const freshKeys = (keyBytes: number): Keys => ({ key: randomBytes(keyBytes), iv: randomBytes(12) });

function sealerOf({ key, iv }: Keys): SshSealer {
  const sealer = engine.createSshSealer?.(key, iv);
  assert.ok(sealer);
  return sealer;
}

/** The messages of `sealed`, by Node's own cipher: RFC 4253, section 6, and RFC 5647. */
function opened(sealed: Buffer, { key, iv }: Keys): Buffer[] {
  const messages: Buffer[] = [];
  const counter = iv.readBigUInt64BE(4);
  for (let at = 0; at < sealed.length; ) {
    const packetIv = Buffer.from(iv);
    packetIv.writeBigUInt64BE(BigInt.asUintN(64, counter + BigInt(messages.length)), 4);
    const bytes = sealed.readUInt32BE(at);
    assert.equal(bytes % 16, 0, 'whole blocks');
    const end = at + 4 + bytes;
    const decipher = createDecipheriv(
      key.length === 16 ? 'aes-128-gcm' : 'aes-256-gcm',
      key,
      packetIv,
    );
    decipher.setAAD(sealed.subarray(at, at + 4));
    decipher.setAuthTag(sealed.subarray(end, end + TAG_BYTES));
    const plain = Buffer.concat([decipher.update(sealed.subarray(at + 4, end)), decipher.final()]);
    const paddingBytes = plain[0] ?? 0;
    assert.ok(paddingBytes >= 4 && paddingBytes < 20, `${paddingBytes} bytes of padding`);
    messages.push(plain.subarray(1, plain.length - paddingBytes));
    at = end + TAG_BYTES;
  }
  return messages;
}

function dataOf(message: Buffer, channel: number): Buffer {
  assert.equal(message[0], CHANNEL_DATA);
  assert.equal(message.readUInt32BE(1), channel);
  assert.equal(message.readUInt32BE(5), message.length - 9);
  return message.subarray(9);
}

for (const keyBytes of [16, 32]) {
  test(`when data is sealed with a key of ${keyBytes} bytes then it comes out of its packets`, () => {
    const keys = freshKeys(keyBytes);
    const sealer = sealerOf(keys);
    const into = Buffer.alloc(1 << 20);
    const packets: Buffer[] = [];
    const data: Buffer[] = [];
    // Each length of padding, whole packets alone, and a rest behind them.
    for (let bytes = 1; bytes <= 40; bytes++) data.push(randomBytes(bytes));
    data.push(randomBytes(3 * 32_768), randomBytes(100_001));
    for (const part of data) {
      const sealedBytes = sealer.sealData(7, 32_768, part, into);
      packets.push(Buffer.from(into.subarray(0, sealedBytes)));
    }
    const messages = opened(Buffer.concat(packets), keys);
    assert.equal(messages.length, 40 + 3 + 4);
    const taken = Buffer.concat(messages.map((message) => dataOf(message, 7)));
    assert.ok(taken.equals(Buffer.concat(data)));
    sealer.close();
  });
}

test('when the counter of packets overflows then it goes on from zero', () => {
  const keys = { key: randomBytes(16), iv: Buffer.alloc(12, 0xff) };
  const sealer = sealerOf(keys);
  const into = Buffer.alloc(4096);
  const bytes = sealer.sealData(0, 10, Buffer.alloc(50, 5), into);
  assert.equal(opened(into.subarray(0, bytes), keys).length, 5);
  sealer.close();
});

test('when a packet of another kind comes between then it counts, and is sealed in its place', () => {
  const keys = freshKeys(16);
  const sealer = sealerOf(keys);
  const into = Buffer.alloc(4096);
  const before = Buffer.from(into.subarray(0, sealer.sealData(1, 100, Buffer.from('one'), into)));
  const packet = Buffer.alloc(4 + 16 + TAG_BYTES);
  packet.writeUInt32BE(16, 0);
  packet[4] = 10;
  packet.write('5+bit', 5);
  sealer.sealPacket(packet);
  const after = into.subarray(0, sealer.sealData(1, 100, Buffer.from('two'), into));
  const [one, other, two] = opened(Buffer.concat([before, packet, after]), keys);
  assert.equal(String(dataOf(one!, 1)), 'one');
  assert.equal(String(other), '5+bit');
  assert.equal(String(dataOf(two!, 1)), 'two');
  sealer.close();
});

test('when there is no data then there is no packet', () => {
  const sealer = sealerOf(freshKeys(16));
  assert.equal(sealer.sealData(1, 100, Buffer.alloc(0), Buffer.alloc(0)), 0);
  sealer.close();
});

test('when what it is given does not fit then it says so and writes nothing', () => {
  const create = engine.createSshSealer;
  assert.ok(create);
  assert.throws(() => create(Buffer.alloc(24), Buffer.alloc(12)), /key must be 16 or 32 bytes/);
  assert.throws(() => create(Buffer.alloc(16), Buffer.alloc(16)), /iv must be 12 bytes/);
  const sealer = sealerOf(freshKeys(16));
  const data = Buffer.alloc(100);
  // 4 for the length, 128 for 1 + 9 + 100 bytes and the padding behind them, 16 for the tag.
  const into = Buffer.alloc(148);
  assert.throws(() => sealer.sealData(1, 0, data, into), /packetBytes must be/);
  assert.throws(() => sealer.sealData(1, 2 ** 20 + 1, data, into), /packetBytes must be/);
  assert.throws(() => sealer.sealData(-1, 100, data, into), /channel must be/);
  assert.throws(() => sealer.sealData(1, 100, data, into.subarray(0, 147)), /room for all/);
  assert.throws(() => sealer.sealPacket(Buffer.alloc(35)), /a whole one/);
  assert.ok(into.every((byte) => byte === 0));
  assert.equal(sealer.sealData(1, 100, data, into), 148);
  sealer.close();
  assert.throws(() => sealer.sealData(1, 100, data, into), /handle must be of a sealer/);
  assert.throws(() => sealer.sealPacket(Buffer.alloc(52)), /handle must be of a sealer/);
});
