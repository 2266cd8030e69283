import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { describe, test } from 'node:test';
import type { Engine } from '#lvmsync/block/engine.js';
import { loadEngine } from '#lvmsync/block/engines.js';
import { loadAddon } from '#lvmsync/block/installation.js';
import { connectTlsLink, IDENTITY } from '#lvmsync/transport/tls-link.js';
import { createRandom } from '../support/random.js';
import { acceptTls, listenTls, PSK, TLS_HOST, TLS_KEY } from '../support/tls.js';

const { engine } = loadEngine('native');

/** Who connects: the engine, or Node where that cannot. */
const CONNECTING = [
  ['the engine', engine],
  ['Node', {}],
] as const;

/** Both ends of a link; the first read of the one completes the handshake of the other. */
async function connected(connecting: Pick<Engine, 'connectTls'> = {}) {
  const listening = listenTls();
  const [link, received] = await Promise.all([
    connectTlsLink({ host: TLS_HOST, port: listening.port, psk: PSK }, 20_000, connecting).then(
      (made) => {
        made.input.write('x');
        return made;
      },
    ),
    acceptTls(listening).then(async (connection) => {
      const first = Buffer.alloc(1);
      assert.equal(await connection.source.read(first), 1);
      return connection;
    }),
  ]);
  return { listening, link, received };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, TLS_HOST);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe("the native engine's TLS", () => {
  for (const [who, connecting] of CONNECTING) {
    test(`when bytes come in bursts from ${who} then all of them are read, in order, to the end`, async () => {
      const { listening, link, received } = await connected(connecting);
      const random = createRandom(11);
      const sent = createHash('sha256');
      async function send() {
        for (let burst = 0; burst < 20; burst++) {
          const bytes = random.bytes(1 + random.below(600_000));
          sent.update(bytes);
          if (!link.input.write(bytes)) await once(link.input, 'drain');
        }
        link.input.end();
      }
      async function read() {
        const hash = createHash('sha256');
        for (const into of [engine.allocate(300_001), Buffer.alloc(70_003)]) {
          const bytes = await received.source.read(into);
          hash.update(into.subarray(0, bytes));
        }
        const buffer = engine.allocate(1 << 20);
        for (let bytes = 1; bytes > 0; ) {
          bytes = await received.source.read(buffer);
          hash.update(buffer.subarray(0, bytes));
        }
        assert.equal(await received.source.read(buffer), 0, 'and the end is the end');
        return hash.digest('hex');
      }
      const [hash] = await Promise.all([read(), send()]);
      assert.equal(hash, sent.digest('hex'));
      received.close();
      listening.close();
    });

    test(`when something is answered to ${who} then it arrives`, async () => {
      const { listening, link, received } = await connected(connecting);
      await received.write(Buffer.from('welcome'));
      const answer = Buffer.alloc(100);
      const bytes = await link.source.read(answer);
      assert.equal(answer.toString('latin1', 0, bytes), 'welcome');
      link.destroy();
      listening.close();
      received.close();
    });

    test(`when the link is cut by ${who} then it is no end but a failure, now and later`, async () => {
      const { listening, link, received } = await connected(connecting);
      link.destroy();
      for (let attempt = 0; attempt < 2; attempt++) {
        await assert.rejects(received.source.read(Buffer.alloc(100)), { code: 'READ_FAILED' });
      }
      received.close();
      listening.close();
    });
  }

  test('when it is closed while it is read then the read fails', async () => {
    const { listening, link, received } = await connected();
    const read = received.source.read(Buffer.alloc(100));
    received.close();
    await assert.rejects(read, { code: 'READ_FAILED' });
    await assert.rejects(received.source.read(Buffer.alloc(100)), /closed/);
    await assert.rejects(received.write(Buffer.alloc(1)), /closed/);
    link.destroy();
    listening.close();
  });

  test('when nobody takes what is written then closing the link ends the write', async () => {
    const { listening, link, received } = await connected(engine);
    const written = new Promise((resolve) => link.input.write(engine.allocate(64 << 20), resolve));
    link.destroy();
    assert.ok((await written) instanceof Error);
    received.close();
    listening.close();
  });

  test('when nobody listens, or nobody answers, then it says which', async () => {
    const port = await freePort();
    const connecting = connectTlsLink({ host: TLS_HOST, port, psk: PSK }, 20_000, engine);
    await assert.rejects(connecting, { code: 'CONNECT_FAILED', message: /refused/ });
    const silent = createServer(() => {});
    silent.listen(port, TLS_HOST);
    await once(silent, 'listening');
    await assert.rejects(connectTlsLink({ host: TLS_HOST, port, psk: PSK }, 150, engine), {
      message: `${TLS_HOST} port ${port}: no answer within 0.15 s`,
    });
    silent.close();
  });

  test('when the listener is closed then nobody is accepted any more', async () => {
    const listening = listenTls();
    const waiting = listening.accept();
    listening.close();
    assert.equal(await waiting, undefined);
    assert.equal(await listening.accept(), undefined);
    const late = connect({ host: TLS_HOST, port: listening.port });
    await assert.rejects(once(late, 'connect'), { code: 'ECONNREFUSED' });
  });

  for (const [who, connecting] of CONNECTING) {
    for (const [what, identity, psk] of [
      ['key', IDENTITY, '8'.repeat(64)],
      ['identity', 'somebody', PSK],
    ] as const) {
      test(`when the ${what} is another one then neither end takes it for good, by ${who}`, async () => {
        const listening = listenTls(identity);
        const tried = connectTlsLink(
          { host: TLS_HOST, port: listening.port, psk },
          20_000,
          connecting,
        );
        tried.catch(() => {});
        const received = await acceptTls(listening);
        await assert.rejects(received.source.read(Buffer.alloc(1)), { code: 'READ_FAILED' });
        received.close();
        await assert.rejects(tried, { code: 'CONNECT_FAILED' });
        listening.close();
      });
    }
  }

  test('when somebody speaks no TLS then that is a failure', async () => {
    const listening = listenTls();
    const plain = connect({ host: TLS_HOST, port: listening.port });
    plain.on('error', () => {});
    plain.write('PROTO[4] and no TLS at all, which is longer than a record header');
    const received = await acceptTls(listening);
    await assert.rejects(received.source.read(Buffer.alloc(1)), { code: 'READ_FAILED' });
    received.close();
    plain.destroy();
    listening.close();
  });

  test('when the address is none of this machine then it says why', () => {
    assert.throws(() => engine.listenTls?.('192.0.2.1', TLS_KEY), /address/);
    assert.throws(() => engine.listenTls?.('no address', TLS_KEY), /address/);
  });

  test("when the addon's arguments are wrong then it is a TypeError", () => {
    const addon = loadAddon() as { [name: string]: (...values: unknown[]) => unknown };
    const psk = Buffer.alloc(32);
    for (const [name, ...values] of [
      ['listenTls', 1, IDENTITY, psk],
      ['listenTls', TLS_HOST, 1, psk],
      ['listenTls', TLS_HOST, IDENTITY, Buffer.alloc(31)],
      ['listenTls', TLS_HOST, IDENTITY, 'text'],
      ['connectTls', 1, 1, IDENTITY, psk, 1, () => {}],
      ['connectTls', TLS_HOST, 65_536, IDENTITY, psk, 1, () => {}],
      ['connectTls', TLS_HOST, 1, IDENTITY, Buffer.alloc(33), 1, () => {}],
      ['connectTls', TLS_HOST, 1, IDENTITY, psk, -1, () => {}],
      ['connectTls', TLS_HOST, 1, IDENTITY, psk, 1, 1],
    ] as const) {
      assert.throws(() => addon[name]?.(...values), TypeError, `${name}(${values.join(', ')})`);
    }
  });
});
