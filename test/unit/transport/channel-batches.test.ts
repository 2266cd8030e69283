import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import type { Channel, Client } from 'ssh2';
import { nextTurn } from '#lvmsync/extents/turns.js';
import { batchChannels } from '#lvmsync/transport/ssh2/channel-batches.js';

const KIB = 1024;
/** More than anything here takes. */
const TURNS = 100;

/** A channel whose batches are told, and not encrypted. */
function batched(packetSize: number, exchange?: Buffer, isFreed = false) {
  const batches: { channel: number; packetBytes: number; bytes: number }[] = [];
  const byPacket: number[] = [];
  const sent: Buffer[] = [];
  const sealer = {
    sealData(channel: number, packetBytes: number, data: Buffer, into: Buffer) {
      batches.push({ channel, packetBytes, bytes: data.length });
      return data.copy(into);
    },
  };
  const cipher = { sealer, isFreed, outSeqno: 2 ** 32 - 1 };
  const socket = new Duplex({
    read() {},
    write(bytes: Buffer, _encoding, callback) {
      sent.push(Buffer.from(bytes));
      callback();
    },
  });
  const channel = {
    outgoing: { id: 3, packetSize, state: 'open', window: 300 * KIB },
    _write: (data: Buffer, _encoding: BufferEncoding, _callback: () => void) => {
      byPacket.push(data.length);
    },
    _waitWindow: false,
    _chunk: undefined as Buffer | undefined,
    _chunkcb: undefined as (() => void) | undefined,
  };
  const client = { _protocol: { _cipher: cipher, _kexinit: exchange } };
  batchChannels(client as unknown as Client, socket)(channel as unknown as Channel);
  return { channel, cipher, socket, batches, byPacket, sent };
}

test('what the window has no room for waits until there is more', async () => {
  const { channel, cipher, batches, byPacket, sent } = batched(32 * KIB);
  const data = Buffer.from(Array.from({ length: 500 * KIB }, (_, at) => at % 251));
  let done = 0;
  channel._write(data, 'buffer' as BufferEncoding, () => done++);
  // What one turn of the event loop has no time for is sent in later ones.
  for (let turns = 0; turns < TURNS && !channel._waitWindow; turns++) await nextTurn();
  assert.deepEqual(
    batches.map(({ bytes }) => bytes / KIB),
    [256, 44],
  );
  assert.equal(channel.outgoing.window, 0);
  assert.equal(cipher.outSeqno, 9, '8 and 2 packets, modulo 2^32');
  assert.equal(channel._waitWindow, true);
  assert.equal(done, 0);
  // As ssh2 does when the server has taken some.
  channel.outgoing.window += 1024 * KIB;
  channel._write(channel._chunk!, 'buffer' as BufferEncoding, channel._chunkcb!);
  for (let turns = 0; turns < TURNS && done === 0; turns++) await nextTurn();
  assert.equal(channel.outgoing.window, 824 * KIB);
  assert.equal(done, 1);
  assert.ok(Buffer.concat(sent).equals(data));
  assert.deepEqual(byPacket, []);
});

test('a server that would take larger packets gets those that all servers take', async () => {
  const { channel, batches } = batched(2 ** 32 - 1);
  let done = 0;
  channel._write(Buffer.alloc(100 * KIB), 'buffer' as BufferEncoding, () => done++);
  for (let turns = 0; turns < TURNS && done === 0; turns++) await nextTurn();
  assert.deepEqual(batches, [{ channel: 3, packetBytes: 32 * KIB, bytes: 100 * KIB }]);
});

for (const [when, packetSize, exchange, isFreed] of [
  ['keys are exchanged', 32 * KIB, Buffer.alloc(1), false],
  ['the server takes small packets only', 1 * KIB, undefined, false],
  ['the connection has ended', 32 * KIB, undefined, true],
] as const) {
  test(`when ${when} then ssh2 writes by itself`, () => {
    const { channel, batches, byPacket } = batched(packetSize, exchange, isFreed);
    channel._write(Buffer.alloc(100), 'buffer' as BufferEncoding, () => {});
    assert.deepEqual([batches, byPacket], [[], [100]]);
  });
}

test('when a packet cannot be sealed then that is the end of the connection', async () => {
  const { channel, cipher, socket } = batched(32 * KIB);
  cipher.sealer.sealData = () => {
    throw new Error('no entropy');
  };
  const failed = once(socket, 'error');
  channel._write(Buffer.alloc(100), 'buffer' as BufferEncoding, () => assert.fail('written'));
  assert.match(String(await failed), /no entropy/);
});
