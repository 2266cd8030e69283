import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { EngineLink, Listening } from '#lvmsync/block/engine.js';
import { loadEngine } from '#lvmsync/block/engines.js';
import { loadAddon } from '#lvmsync/block/installation.js';
import { createRandom } from '../support/random.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const { engine } = loadEngine('native');
const directory = temporaryDirectory();
let sockets = 0;

function newPath(): string {
  sockets++;
  return join(directory, `links-${sockets}`);
}

function listen(path: string): Listening {
  const listening = engine.listenUnix?.(path);
  assert.ok(listening !== undefined);
  return listening;
}

async function accept(listening: Listening): Promise<EngineLink> {
  const link = await listening.accept();
  assert.ok(link !== undefined);
  return link;
}

/** Both ends of so many links. */
async function connected(t: TestContext, count: number) {
  const path = newPath();
  const listening = listen(path);
  const ends: { far: Socket; link: EngineLink }[] = [];
  for (let i = 0; i < count; i++) {
    const far = connect({ path, allowHalfOpen: true });
    far.on('error', () => {});
    ends.push({ far, link: await accept(listening) });
  }
  t.after(() => {
    for (const { far, link } of ends) {
      far.destroy();
      link.close();
    }
    listening.close();
  });
  return { listening, ends };
}

async function pair(t: TestContext) {
  const { ends } = await connected(t, 1);
  const [one] = ends;
  assert.ok(one !== undefined);
  return one;
}

describe("the native engine's links over unix sockets", () => {
  test('when bytes come in bursts then all of them are read, in order, to the end', async (t) => {
    const { far, link } = await pair(t);
    const random = createRandom(12);
    const sent = createHash('sha256');
    async function send() {
      for (let burst = 0; burst < 20; burst++) {
        const bytes = random.bytes(1 + random.below(600_000));
        sent.update(bytes);
        if (!far.write(bytes)) await once(far, 'drain');
      }
      far.end();
    }
    async function read() {
      const hash = createHash('sha256');
      const buffer = engine.allocate(1 << 20);
      for (let bytes = 1; bytes > 0; ) {
        bytes = await link.source.read(buffer);
        hash.update(buffer.subarray(0, bytes));
      }
      assert.equal(await link.source.read(buffer), 0, 'and the end is the end');
      return hash.digest('hex');
    }
    const [hash] = await Promise.all([read(), send()]);
    assert.equal(hash, sent.digest('hex'));
  });

  test('when more is written than the socket holds then all of it arrives, and then the end', async (t) => {
    const { far, link } = await pair(t);
    const bytes = createRandom(13).bytes(5_000_001);
    const arrived: Buffer[] = [];
    far.on('data', (chunk: Buffer) => arrived.push(chunk));
    const ended = once(far, 'end');
    await link.write(bytes);
    await link.end();
    await ended;
    assert.ok(Buffer.concat(arrived).equals(bytes));
    far.write('still open this way');
    const answer = Buffer.alloc(100);
    assert.equal(
      answer.toString('latin1', 0, await link.source.read(answer)),
      'still open this way',
    );
  });

  test('when it is closed while it is read then the read fails: that is no end', async (t) => {
    const { link } = await pair(t);
    const read = link.source.read(Buffer.alloc(100));
    link.close();
    await assert.rejects(read, { code: 'READ_FAILED' });
    await assert.rejects(async () => link.source.read(Buffer.alloc(100)), /closed/);
    await assert.rejects(link.write(Buffer.alloc(1)), /closed/);
  });

  test('when nobody takes what is written then closing the link ends the write', async (t) => {
    const { link } = await pair(t);
    const written = link.write(engine.allocate(64 << 20));
    link.close();
    await assert.rejects(written, /cannot write to a link/);
  });

  test('when the other end has gone then a write says so', async (t) => {
    const { far, link } = await pair(t);
    const closed = once(far, 'close');
    far.destroy();
    await closed;
    await assert.rejects(link.write(Buffer.alloc(1)), /EPIPE/);
  });

  test('when as many links wait as a receiver takes then files are read all the same', async (t) => {
    const { ends } = await connected(t, 32);
    const reads = ends.map(({ link }) => link.source.read(Buffer.alloc(1)));
    const file = await engine.open(process.execPath, { mode: 'read' });
    const batch = {
      buffer: engine.allocate(4096),
      offsets: Float64Array.of(0),
      lengths: Uint32Array.of(4096),
      positions: Uint32Array.of(0),
      count: 1,
    };
    await file.read(batch);
    assert.equal(batch.buffer.toString('latin1', 1, 4), 'ELF');
    await file.close();
    for (const { far } of ends) far.write('x');
    assert.deepEqual(await Promise.all(reads), Array(32).fill(1));
  });

  test('when the listener is closed then nobody is accepted any more', async () => {
    const path = newPath();
    const listening = listen(path);
    const waiting = listening.accept();
    listening.close();
    assert.equal(await waiting, undefined);
    assert.equal(await listening.accept(), undefined);
    await assert.rejects(once(connect({ path }), 'connect'), { code: 'ECONNREFUSED' });
  });

  test('when there is no room for the socket then it says why', () => {
    const path = newPath();
    const listening = listen(path);
    assert.throws(() => listen(path), /EADDRINUSE/);
    assert.throws(() => listen(join(directory, 'none', 'links')), /ENOENT/);
    assert.throws(() => listen(join(directory, 'x'.repeat(108))), /ENAMETOOLONG/);
    listening.close();
  });

  test("when the addon's arguments are wrong then it is a TypeError", () => {
    const addon = loadAddon() as { [name: string]: (...values: unknown[]) => unknown };
    const bytes = Buffer.alloc(1);
    for (const [name, ...values] of [
      ['listenUnix', 1],
      ['acceptLink', 4_000_000, () => {}],
      ['acceptLink', undefined, () => {}],
      ['readLink', -1, bytes, undefined, () => {}],
      ['readLink', Number.NaN, bytes, undefined, () => {}],
      ['writeLink', 4_000_000, bytes, () => {}],
    ] as const) {
      assert.throws(() => addon[name]?.(...values), TypeError, `${name}(${values.join(', ')})`);
    }
    assert.equal(addon.closeLink?.(4_000_000), undefined);
    assert.equal(addon.closeListener?.(4_000_000), undefined);
  });
});
