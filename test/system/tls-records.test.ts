/** The records of TLS as the native engine seals and opens them, beside those of OpenSSL. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { after, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import type { EngineLink, TlsListening } from '#lvmsync/block/engine.js';
import { loadEngine } from '#lvmsync/block/engines.js';
import { IDENTITY, pskServerOptions } from '#lvmsync/transport/tls-link.js';
import { createRandom } from '../support/random.js';
import { acceptTls, listenTls, PSK, TLS_HOST, TLS_KEY } from '../support/tls.js';

const MIB = 1 << 20;
const { engine } = loadEngine('native');

/** RFC 8446, 5.2. */
const HEADER_BYTES = 5;
const TAG_BYTES = 16;
const ENCRYPTED = 23;
/** Its message is of five bytes (4.6.3), and its type stands behind it. */
const KEY_UPDATE_BYTES = HEADER_BYTES + 5 + 1 + TAG_BYTES;

const servers = new Set<Server>();
after(() => {
  for (const server of servers) server.close();
});

async function portOf(server: Server): Promise<number> {
  servers.add(server);
  server.listen(0, TLS_HOST);
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function connectTo(port: number): Promise<EngineLink> {
  assert.ok(engine.connectTls !== undefined);
  return engine.connectTls({ host: TLS_HOST, port }, TLS_KEY, 20_000);
}

/** Both ends of a link through `port`; the first read of the one completes the handshake of the other. */
async function connected(
  listening: TlsListening,
  port: number,
): Promise<[sender: EngineLink, receiver: EngineLink]> {
  return Promise.all([
    connectTo(port).then(async (link) => {
      await link.write(Buffer.from('x'));
      return link;
    }),
    acceptTls(listening).then(async (link) => {
      assert.equal(await link.source.read(Buffer.alloc(1)), 1);
      return link;
    }),
  ]);
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** Reads to the end, and tells the digest of all. */
async function digestOf(link: EngineLink, pieceBytes: () => number): Promise<string> {
  const hash = createHash('sha256');
  for (;;) {
    const into = Buffer.alloc(pieceBytes());
    const bytes = await link.source.read(into);
    hash.update(into.subarray(0, bytes));
    if (bytes === 0) return hash.digest('hex');
  }
}

/**
 * Hands on the records of who connects one by one: each that was sent once the handshake is done as
 * `change` has it.
 */
function startProxy(
  port: number,
  change: (record: Buffer, index: number) => readonly Buffer[],
): Promise<number> {
  const server = createServer((near) => {
    const far = connect(port, TLS_HOST);
    let waiting = Buffer.alloc(0);
    let index = -1; // the last of the handshake
    function take(): Buffer | undefined {
      if (waiting.length < HEADER_BYTES) return undefined;
      const recordBytes = HEADER_BYTES + waiting.readUInt16BE(3);
      if (recordBytes > waiting.length) return undefined;
      const record = waiting.subarray(0, recordBytes);
      waiting = waiting.subarray(recordBytes);
      return record;
    }
    near.on('data', (bytes) => {
      waiting = Buffer.concat([waiting, bytes]);
      for (let record = take(); record !== undefined; record = take()) {
        const isHandshake = record[0] !== ENCRYPTED || index++ < 0;
        for (const sent of isHandshake ? [record] : change(record, index - 1)) far.write(sent);
      }
      if (!far.writableNeedDrain) return;
      near.pause();
      far.once('drain', () => near.resume());
    });
    near.on('end', () => far.end());
    far.pipe(near);
    for (const socket of [near, far]) {
      socket.on('error', () => {}); // who finds a damage hangs up
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
  });
  return portOf(server);
}

function changed(record: Buffer, position: number, mask = 1): Buffer {
  const copy = Buffer.from(record);
  const index = position < 0 ? copy.length + position : position;
  copy[index] = copy[index]! ^ mask;
  return copy;
}

/** Sends three records of 1000 bytes, the second of them by `change`. */
async function withChangedSecond(
  change: (record: Buffer) => Buffer[],
  read: (receiver: EngineLink) => Promise<void>,
): Promise<void> {
  const listening = listenTls();
  const changeSecond = (record: Buffer, index: number) => (index === 2 ? change(record) : [record]);
  const port = await startProxy(listening.port, changeSecond);
  const [sender, receiver] = await connected(listening, port);
  try {
    for (const letter of 'abc') await sender.write(Buffer.alloc(1000, letter));
    await sender.end();
    await read(receiver);
  } finally {
    receiver.close();
    sender.close();
  }
}

function readByEngine(): { port: number; digest: Promise<string> } {
  const listening = listenTls();
  const digest = acceptTls(listening).then((link) => digestOf(link, () => MIB));
  return { port: listening.port, digest };
}

async function readByNode(): Promise<{ port: number; digest: Promise<string> }> {
  const server = createTlsServer(pskServerOptions(PSK));
  const port = await portOf(server);
  const digest = once(server, 'secureConnection').then(async ([socket]) => {
    const hash = createHash('sha256');
    for await (const chunk of socket) hash.update(chunk);
    return hash.digest('hex');
  });
  return { port, digest };
}

/** OpenSSL's own client, which shows the messages that go and come. */
function startOpenssl(port: number) {
  const client = spawn('openssl', [
    ...['s_client', '-connect', `${TLS_HOST}:${port}`],
    ...['-tls1_3', '-msg', '-record_padding', '4096'],
    ...['-psk', PSK, '-psk_identity', IDENTITY, '-ciphersuites', 'TLS_AES_128_GCM_SHA256'],
  ]);
  let said = '';
  for (const stream of [client.stdout, client.stderr]) {
    stream.setEncoding('latin1').on('data', (text: string) => {
      said += text;
    });
  }
  async function until(isSo: () => boolean): Promise<void> {
    for (let look = 0; !isSo(); look++) {
      assert.ok(look < 1000, said);
      await delay(20);
    }
  }
  return { client, heard: () => said, until };
}

describe('records of TLS', () => {
  test('when they are read in small pieces then nothing is lost between the pieces', async () => {
    const listening = listenTls();
    const [sender, receiver] = await connected(listening, listening.port);
    const random = createRandom(5);
    const bytes = random.bytes(3 * MIB);
    const sent = (async () => {
      for (let at = 0; at < bytes.length; ) {
        const part = bytes.subarray(at, at + 1 + random.below(40_000));
        await sender.write(part);
        at += part.length;
      }
      await sender.end();
    })();
    const pieces = createRandom(6);
    const [digest] = await Promise.all([digestOf(receiver, () => 1 + pieces.below(20_000)), sent]);
    assert.equal(digest, sha256(bytes));
    receiver.close();
    sender.close();
  });

  /** What happens to the second of three records. */
  const DAMAGES: [what: string, change: (record: Buffer) => Buffer[]][] = [
    ['a bit of its data is flipped', (record) => [changed(record, HEADER_BYTES + 500)]],
    ['the type of its content is changed', (record) => [changed(record, -TAG_BYTES - 1)]],
    ['a bit of its tag is flipped', (record) => [changed(record, -1)]],
    ['its header says another type', (record) => [changed(record, 0)]],
    ['its header says another version', (record) => [changed(record, 2)]],
    ['its header says more than a record holds', (record) => [changed(record, 3, 0x70)]],
    ['its header says less than a tag takes', (record) => [Buffer.from([23, 3, 3, 0, 16]), record]],
    ['it is missing', () => []],
    ['it is cut', (record) => [record.subarray(0, 700)]],
  ];
  for (const [what, change] of DAMAGES) {
    test(`when ${what} then what came before is read, and nothing after`, async () => {
      await withChangedSecond(change, async (receiver) => {
        const into = Buffer.alloc(1000);
        assert.equal(await receiver.source.read(into), 1000);
        assert.equal(into.toString('latin1'), 'a'.repeat(1000));
        for (let attempt = 0; attempt < 2; attempt++) {
          await assert.rejects(receiver.source.read(Buffer.alloc(3000)), { code: 'READ_FAILED' });
        }
      });
    });
  }

  test('when it comes twice then it is read once, and nothing after', async () => {
    const twice = (record: Buffer) => [record, record];
    await withChangedSecond(twice, async (receiver) => {
      const into = Buffer.alloc(2000);
      assert.equal(await receiver.source.read(into), 2000);
      assert.equal(into.toString('latin1'), 'a'.repeat(1000) + 'b'.repeat(1000));
      await assert.rejects(receiver.source.read(Buffer.alloc(1)), { code: 'READ_FAILED' });
    });
  });

  test("when Node's server sends tickets of sessions then they are passed over", async () => {
    const server = createTlsServer(pskServerOptions(PSK));
    const port = await portOf(server);
    const connection = once(server, 'secureConnection');
    const link = await connectTo(port);
    const [socket] = await connection;
    const bytes = createRandom(8).bytes(MIB);
    socket.end(bytes);
    assert.equal(await digestOf(link, () => 100_000), sha256(bytes));
    link.close();
    socket.destroy();
  });

  for (const reader of ['the engine', 'Node'] as const) {
    test(`when more than a gibibyte is sent to ${reader} then with new keys on the way`, async () => {
      const bytes = createRandom(9).bytes(MIB);
      const { port, digest } = reader === 'Node' ? await readByNode() : readByEngine();
      const keyUpdates: number[] = [];
      const sender = await connectTo(
        await startProxy(port, (record, index) => {
          if (record.length === KEY_UPDATE_BYTES) keyUpdates.push(index);
          return [record];
        }),
      );
      const sent = createHash('sha256');
      const buffer = engine.allocate(MIB);
      bytes.copy(buffer);
      for (let count = 0; count < 1025; count++) {
        await sender.write(buffer);
        sent.update(buffer);
      }
      await sender.end();
      assert.equal(await digest, sent.digest('hex'));
      assert.deepEqual(keyUpdates, [2 ** 16]);
      sender.close();
    });
  }

  test('when OpenSSL pads its records and wants new keys then both ends take them', async () => {
    const listening = listenTls();
    const { client, heard, until } = startOpenssl(listening.port);
    const receiver = await acceptTls(listening);
    const into = Buffer.alloc(100);
    for (const [line, messages] of [
      ['first', []],
      ['k', ['>>>']], // its own keys
      ['second', []],
      ['K', ['>>>']], // both ends'
      ['third', ['<<<']],
    ] as const) {
      const before = heard().length;
      client.stdin.write(`${line}\n`);
      if (line.length > 1) {
        const bytes = await receiver.source.read(into.subarray(0, line.length + 1));
        assert.equal(into.toString('latin1', 0, bytes), `${line}\n`);
        await receiver.write(Buffer.from(`${line}, too\n`));
        await until(() => heard().includes(`${line}, too`));
      }
      for (const direction of messages) {
        const keyUpdate = new RegExp(`^${direction} .*KeyUpdate`, 'm');
        await until(() => keyUpdate.test(heard().slice(before)));
      }
    }
    client.stdin.end();
    await once(client, 'exit');
    assert.equal(await receiver.source.read(into), 0);
    receiver.close();
  });
});
