/** Further links that lie, break or say nothing, against the real receiver; the sender is the test. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createServer } from 'node:tls';
import { loadEngine } from '#lvmsync/block/engines.js';
import { connectTlsLink } from '#lvmsync/transport/tls-link.js';
import { runCommand } from '../support/command.js';
import {
  decodeRecord,
  encodeEnd,
  encodeHello,
  encodeJson,
  encodeRecord,
  LABEL,
  splitStream,
  TYPE,
  totalsOf,
} from '../support/proto4.js';
import { createRandom } from '../support/random.js';
import { lvmsyncPath } from '../support/repository.js';
import { startSshd } from '../support/sshd.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const CHUNK_BYTES = 4096;
const TARGET_BYTES = 64 * CHUNK_BYTES;
const INTEGRITY = 7;
const directory = temporaryDirectory();
const random = createRandom(404);
const content = random.bytes(TARGET_BYTES);

/** Chunk by chunk, everything the target is to hold. */
const records = Array.from({ length: 64 }, (_, chunk) => {
  const offset = chunk * CHUNK_BYTES;
  return encodeRecord(
    TYPE.data,
    [[offset, CHUNK_BYTES]],
    content.subarray(offset, offset + CHUNK_BYTES),
  );
});

interface Conversation {
  target: string;
  child: ChildProcess;
  send(...bytes: Buffer[]): void;
  /** The next answer of a type; whatever comes before is passed over. */
  answer(type: number): Promise<ReturnType<typeof decodeRecord>>;
  json(type: number): Promise<Record<string, string>>;
  /** Resolves to the exit status. */
  ended: Promise<number | null>;
  stderr(): string;
}

let count = 0;

async function converse(options: string[] = [], environment = {}): Promise<Conversation> {
  const target = join(directory, `target-${count++}`);
  writeFileSync(target, Buffer.alloc(TARGET_BYTES));
  const args = [lvmsyncPath, ...options, '--protocol', '4', '--apply', '-', target];
  const env = { ...process.env, ...environment };
  const child = spawn(process.execPath, args, { stdio: 'pipe', env });
  const errors: Buffer[] = [];
  let received = Buffer.alloc(0);
  let wake = () => {};
  child.stderr.on('data', (bytes: Buffer) => errors.push(bytes));
  child.stdin.on('error', () => {});
  child.stdout.on('data', (bytes: Buffer) => {
    received = Buffer.concat([received, bytes]);
    wake();
  });
  const ended = once(child, 'close').then(([status]) => {
    wake();
    return status as number | null;
  });
  let taken = 0;
  async function answer(type: number) {
    for (;;) {
      const all = received.length < LABEL.length ? [] : wholeRecords(received);
      for (; taken < all.length; taken++) {
        const record = decodeRecord(all[taken]!);
        if (record.type === TYPE.refuse && type !== TYPE.refuse) {
          throw new Error(`refused: ${record.payload}`);
        }
        if (record.type !== type) continue;
        taken++;
        return record;
      }
      if (child.exitCode !== null) throw new Error(`no answer: ${Buffer.concat(errors)}`);
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  child.stdin.write(Buffer.concat([LABEL, encodeHello(TARGET_BYTES)]));
  await answer(TYPE.accept);
  return {
    target,
    child,
    send: (...bytes) => void child.stdin.write(Buffer.concat(bytes)),
    answer,
    json: async (type) => JSON.parse((await answer(type)).payload.toString()),
    ended,
    stderr: () => Buffer.concat(errors).toString(),
  };
}

/** Those that have come whole. */
function wholeRecords(stream: Buffer): Buffer[] {
  let end = LABEL.length;
  while (end + 32 <= stream.length) {
    const bytes = 32 + stream.readUInt16BE(end + 2) * 8 + stream.readUInt32BE(end + 4);
    if (end + bytes > stream.length) break;
    end += bytes;
  }
  return splitStream(stream.subarray(0, end));
}

function openLinks(conversation: Conversation, links: number, via = 'unix') {
  conversation.send(encodeJson(TYPE.open, { via, links }));
  return conversation.json(TYPE.opened);
}

/** Connects and says a token; resolves to the socket, and to whether the receiver took it. */
async function join1(path: string, token: string): Promise<{ link: Socket; taken: boolean }> {
  const link = connect({ path, allowHalfOpen: true });
  link.on('error', () => {});
  await once(link, 'connect');
  link.write(Buffer.concat([LABEL, encodeJson(TYPE.join, { token })]));
  const taken = await Promise.race([
    once(link, 'data').then(() => true),
    once(link, 'end').then(() => false),
    once(link, 'close').then(() => false),
  ]);
  return { link, taken };
}

function holdsAll({ target }: Conversation): boolean {
  return readFileSync(target).equals(content);
}

/** The sender is told why, and the exit status says so too. */
async function refusal(run: Conversation, pattern: RegExp, status = INTEGRITY): Promise<void> {
  assert.match((await run.json(TYPE.refuse)).message ?? '', pattern);
  assert.equal(await run.ended, status, run.stderr());
  assert.equal(run.stderr(), '');
}

describe('further links of a receiver', () => {
  test('when records come over three links in any order then one receipt is for all', async () => {
    const run = await converse();
    const { path = '', token = '' } = await openLinks(run, 2);
    const links = [await join1(path, token), await join1(path, token)];
    const order = random.shuffle([...records]);
    const ways = [run.child.stdin, ...links.map(({ link }) => link)];
    for (const [index, record] of order.entries()) ways[index % 3]?.write(record);
    run.send(encodeEnd(records));
    await delay(100); // the end comes first, the rest of the links behind it
    for (const { link } of links) link.end();
    const receipt = await run.json(TYPE.receipt);
    assert.equal(receipt.digest, totalsOf(records).digest);
    assert.equal(await run.ended, 0, run.stderr());
    assert.ok(holdsAll(run));
  });

  test('when it listens then only its user can come near, and nothing is left behind', async () => {
    const run = await converse();
    const { path = '', token = '' } = await openLinks(run, 1);
    assert.equal(statSync(dirname(path)).mode & 0o777, 0o700);
    const { link } = await join1(path, token);
    link.end();
    await delay(100);
    assert.ok(!existsSync(dirname(path)), 'all are there: nobody else is expected');
    run.send(...records, encodeEnd(records));
    assert.equal(await run.ended, 0, run.stderr());
  });

  test('when a link says the wrong token then it is not one, and the rest goes on', async () => {
    const run = await converse();
    const { path = '' } = await openLinks(run, 1);
    const { link, taken } = await join1(path, '0'.repeat(64));
    assert.equal(taken, false);
    link.write(records[0]!);
    run.send(...records, encodeEnd(records));
    assert.equal(await run.ended, 0, run.stderr());
    assert.ok(holdsAll(run));
    assert.ok(!existsSync(dirname(path)));
  });

  test('when a link talks nonsense instead of joining then the rest goes on', async () => {
    const run = await converse();
    const { path = '' } = await openLinks(run, 3);
    for (const nonsense of [random.bytes(5000), LABEL, Buffer.from('GET / HTTP/1.1\r\n\r\n')]) {
      const link = connect({ path });
      link.on('error', () => {});
      link.end(nonsense);
    }
    run.send(...records, encodeEnd(records));
    assert.equal(await run.ended, 0, run.stderr());
    assert.ok(holdsAll(run));
  });

  test('when more join than were asked for then they are not taken', async () => {
    const run = await converse();
    const { path = '', token = '' } = await openLinks(run, 1);
    const links = await Promise.all(
      [join1(path, token), join1(path, token)].map((one) => one.catch(() => undefined)),
    );
    assert.equal(links.filter((one) => one?.taken).length, 1);
    for (const one of links) one?.link.end();
    run.send(...records, encodeEnd(records));
    assert.equal(await run.ended, 0, run.stderr());
  });

  test('when a link breaks inside a record then the run fails and says so', async () => {
    const run = await converse();
    const { path = '', token = '' } = await openLinks(run, 1);
    const { link } = await join1(path, token);
    link.end(records[0]!.subarray(0, 2000));
    await refusal(run, /the stream ends inside the body of record/);
  });

  test('when a link ends before its records have come then the end does not fit', async () => {
    const run = await converse();
    const { path = '', token = '' } = await openLinks(run, 1);
    const { link } = await join1(path, token);
    link.end(Buffer.concat(records.slice(0, 10)));
    run.send(...records.slice(11), encodeEnd(records));
    await refusal(run, /64 records were sent, 63 arrived/);
  });

  test('when a bit of a link is flipped then the run fails', async () => {
    const run = await converse();
    const { path = '', token = '' } = await openLinks(run, 1);
    const { link } = await join1(path, token);
    const wrong = Buffer.from(records[3]!);
    wrong[1000]! ^= 4;
    link.write(wrong);
    await refusal(run, /checksum/);
    assert.ok(!holdsAll(run));
  });

  for (const [what, record] of [
    ['an end', encodeEnd(records)],
    ['a hello', encodeHello(TARGET_BYTES)],
    ['a check', encodeRecord(TYPE.check, [[0, 4096]], Buffer.alloc(16))],
  ] as const) {
    test(`when ${what} comes over a further link then the run fails`, async () => {
      const run = await converse();
      const { path = '', token = '' } = await openLinks(run, 1);
      const { link } = await join1(path, token);
      link.write(record);
      await refusal(run, /do not come over a link/);
    });
  }

  test('when links are asked for twice then the run fails', async () => {
    const run = await converse();
    await openLinks(run, 2);
    run.send(encodeJson(TYPE.open, { via: 'unix', links: 2 }));
    await refusal(run, /links twice/);
  });

  test('when a link falls silent then it is named', async () => {
    const run = await converse(['--timeout', '1']);
    const { path = '', token = '' } = await openLinks(run, 1);
    await join1(path, token);
    const alive = setInterval(() => run.send(encodeRecord(129, [])), 200);
    await refusal(run, /a link: nothing came for 1 seconds/, 4);
    clearInterval(alive);
  });
});

describe('links over TLS', () => {
  const SSH = { SSH_CONNECTION: '127.0.0.1 50000 127.0.0.1 22' };

  for (const [who, engine] of Object.entries({ engine: loadEngine('native').engine, Node: {} })) {
    test(`when the key is right then a link carries everything, by ${who}`, async () => {
      const run = await converse([], SSH);
      const { port, psk = '', token = '' } = await openLinks(run, 1, 'tls');
      const link = await connectTlsLink(
        { host: '127.0.0.1', port: Number(port), psk },
        5000,
        engine,
      );
      link.input.write(Buffer.concat([LABEL, encodeJson(TYPE.join, { token })]));
      assert.notEqual(await link.source.read(Buffer.alloc(100)), 0);
      link.input.end(Buffer.concat(records));
      run.send(encodeEnd(records));
      assert.equal(await run.ended, 0, run.stderr());
      assert.ok(holdsAll(run));
    });

    test(`when the key is wrong or there is none then nobody gets in, and the rest goes on, by ${who}`, async () => {
      const run = await converse([], SSH);
      const { port } = await openLinks(run, 2, 'tls');
      const address = { host: '127.0.0.1', port: Number(port) };
      await assert.rejects(connectTlsLink({ ...address, psk: '5'.repeat(64) }, 5000, engine), {
        code: 'CONNECT_FAILED',
      });
      const plain = connect(address);
      plain.on('error', () => {});
      plain.end(random.bytes(500));
      await once(plain, 'close');
      run.send(...records, encodeEnd(records));
      assert.equal(await run.ended, 0, run.stderr());
      assert.ok(holdsAll(run));
    });

    test(`when the far end has a certificate but not the key then it is not believed, by ${who}`, async () => {
      const sshd = await startSshd(); // for its directory only
      const [key, cert] = ['key', 'cert'].map((name) => join(sshd.directory, name));
      await runCommand(
        'openssl',
        ['req', '-x509', '-newkey', 'ed25519', '-nodes', '-subj', '/CN=localhost'].concat(
          '-keyout',
          key!,
          '-out',
          cert!,
        ),
      );
      const server = createServer({ key: readFileSync(key!), cert: readFileSync(cert!) });
      server.on('tlsClientError', () => {});
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      await assert.rejects(
        connectTlsLink({ host: '127.0.0.1', port, psk: '5'.repeat(64) }, 5000, engine),
        {
          code: 'CONNECT_FAILED',
        },
      );
      server.close();
      await sshd.stop();
    });
  }

  test('when the receiver does not know how the sender came in then it says so', async () => {
    const run = await converse([], { SSH_CONNECTION: undefined });
    const { unavailable = '' } = await openLinks(run, 1, 'tls');
    assert.match(unavailable, /address/);
    run.send(...records, encodeEnd(records));
    assert.equal(await run.ended, 0, run.stderr());
  });
});
