import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { passOn } from '#lvmsync/stream/bytes.js';
import { explainEnd } from '#lvmsync/transport/remote-exit.js';
import { readAll } from '../support/read-all.js';
import { finish, transportTo, write } from '../support/ssh-session.js';
import { startSshd, type TestSshd } from '../support/sshd.js';

const MiB = 1 << 20;
const ignore = () => {};

let sshd: TestSshd;
before(async () => {
  sshd = await startSshd();
});
after(() => sshd.stop());

const logins = () => sshd.log().match(/Accepted publickey/g)?.length ?? 0;

const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex');

/** Bytes that differ from MiB to MiB, so that a lost or doubled piece shows. */
function numberedMebibyte(number: number): Buffer {
  const buffer = Buffer.alloc(MiB);
  for (let at = 0; at < MiB; at += 8) buffer.writeUInt32LE((number * MiB + at) % 0xfffffffb, at);
  return buffer;
}

test('when a command runs then its words, output, standard error and status come through', async () => {
  const notes: string[] = [];
  const transport = transportTo(sshd, { onNote: (note) => notes.push(note) });
  const script = 'printf "[%s]" "$@"; echo oops >&2; exit 3';
  const words = ['a b', "it's", '$HOME', '', '*', 'x\ny'];
  const { stdout, stderr, end } = await finish(transport, ['sh', '-c', script, '-', ...words]);
  assert.equal(stdout, words.map((word) => `[${word}]`).join(''));
  assert.equal(stderr, 'oops\n');
  assert.deepEqual(end, { status: 3, signal: null });
  await transport.close();
  assert.match(notes.join('\n'), /aes128-gcm@openssh\.com.*encrypted by the native engine/);
});

const GCM = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'];

/** What encrypts: the engine, or ssh2 by itself. */
const ENCRYPTIONS = [
  { name: 'the engine', said: /encrypted by the native engine/, options: {}, ciphers: GCM },
  {
    name: 'ssh2',
    said: /cipher binding/,
    options: { engine: undefined },
    ciphers: [...GCM, 'chacha20-poly1305@openssh.com', 'aes128-ctr'],
  },
];

for (const { name, said, options, ciphers } of ENCRYPTIONS) {
  for (const cipher of ciphers) {
    test(`when ${name} encrypts by ${cipher} then 64 MiB arrive whole each way`, async () => {
      const notes: string[] = [];
      const transport = transportTo(sshd, {
        ...options,
        configOptions: [`Ciphers=${cipher}`],
        onNote: (note) => notes.push(note),
      });
      const channel = await transport.open(['tee', '/dev/stderr'], (part) => onStderr.update(part));
      const onStderr = createHash('sha256');
      const sent = createHash('sha256');
      const received = createHash('sha256');
      const reading = passOn(channel.answers, (chunk) => received.update(chunk));
      for (let number = 0; number < 64; number++) {
        // No two are of the same length, and few of whole packets.
        const chunk = numberedMebibyte(number).subarray(number * 1001);
        sent.update(chunk);
        await write(channel, chunk);
        // The callback has fired, so the buffer is ours again.
        chunk.fill(0xff);
      }
      channel.input.end();
      await reading;
      assert.deepEqual(await channel.end, { status: 0, signal: null });
      const digest = sent.digest('hex');
      assert.equal(received.digest('hex'), digest);
      assert.equal(onStderr.digest('hex'), digest);
      await transport.close();
      assert.match(notes.join('\n'), new RegExp(`${cipher}.*${said.source}`));
    });
  }

  test(`when ${name} encrypts and the server changes keys every MiB then the bytes still arrive whole`, async () => {
    const rekeying = await startSshd({ extraLines: ['RekeyLimit 1M'] });
    try {
      const transport = transportTo(rekeying, options);
      const channel = await transport.open(['cat'], ignore);
      const reading = readAll(channel.answers);
      const data = Buffer.concat([...Array(32).keys()].map(numberedMebibyte));
      await write(channel, data);
      channel.input.end();
      assert.equal(sha256(await reading), sha256(data));
      assert.equal((await channel.end).status, 0);
      await transport.close();
    } finally {
      await rekeying.stop();
    }
  });
}

test('when two channels share a connection then each has its own bytes and end', async () => {
  const loginsBefore = logins();
  const transport = transportTo(sshd);
  const [one, two] = await Promise.all([
    transport.open(['sh', '-c', 'cat; exit 1'], ignore),
    transport.open(['sh', '-c', 'cat; exit 2'], ignore),
  ]);
  const first = numberedMebibyte(1);
  const second = numberedMebibyte(2);
  one.input.write(first);
  one.input.end();
  two.input.write(second);
  two.input.end();
  const [fromOne, fromTwo] = await Promise.all([readAll(one.answers), readAll(two.answers)]);
  assert.equal(sha256(fromOne), sha256(first));
  assert.equal(sha256(fromTwo), sha256(second));
  assert.equal((await one.end).status, 1);
  assert.equal((await two.end).status, 2);
  assert.equal(logins(), loginsBefore + 1);
  await transport.close();
});

test('when the server allows one channel only then the second is refused with the reason', async () => {
  const single = await startSshd({ maxSessions: 1 });
  try {
    const transport = transportTo(single);
    const channel = await transport.open(['cat'], ignore);
    await assert.rejects(transport.open(['cat'], ignore), {
      code: 'CONNECT_FAILED',
      message: /refused another channel/,
      hint: /MaxSessions/,
    });
    channel.input.write(Buffer.from('still here'));
    channel.input.end();
    assert.equal((await readAll(channel.answers)).toString(), 'still here');
    await transport.close();
  } finally {
    await single.stop();
  }
});

test('when the command is not there then one clear line says so, and no write hangs', async () => {
  const transport = transportTo(sshd);
  const channel = await transport.open(['lvmsync-is-not-here', '--apply', '-'], ignore);
  await assert.rejects(async () => {
    for (;;) await write(channel, Buffer.alloc(MiB));
  });
  const error = explainEnd(await channel.end, {
    description: channel.description,
    command: 'lvmsync',
  });
  assert.equal(error?.code, 'REMOTE_NOT_STARTED');
  assert.equal(error?.message, 'ssh receiver: lvmsync was not found there');
  await transport.close();
});

test('when --remote-command is given then its words run in place of the program', async () => {
  const transport = transportTo(sshd, { remoteCommand: 'env X=1 printf %s,' });
  const { stdout } = await finish(transport, ['lvmsync', '--apply', 'a b']);
  assert.equal(stdout, '--apply,a b,');
  await transport.close();
});

test('when the far side is killed midway then its signal is told and the write fails', async () => {
  const transport = transportTo(sshd);
  const script = 'head -c 3000000 >/dev/null; kill -9 $$';
  const channel = await transport.open(['exec', 'sh', '-c', script], ignore);
  await assert.rejects(async () => {
    for (;;) await write(channel, Buffer.alloc(MiB));
  });
  const end = await channel.end;
  assert.equal(end.signal, 'SIGKILL');
  assert.equal(explainEnd(end, { description: 'x', command: 'y' })?.code, 'REMOTE_FAILED');
  await transport.close();
});

test('when the far side ends without reading while a write waits for it then the write fails', async () => {
  const transport = transportTo(sshd);
  const channel = await transport.open(['sh', '-c', 'sleep 0.5; exit 9'], ignore);
  // More than the 2 MiB window and every pipe on the way can hold.
  await assert.rejects(write(channel, Buffer.alloc(16 * MiB)));
  assert.equal((await channel.end).status, 9);
  await transport.close();
});

test('when the connection is cut midway then that is the error of write, output and end', async () => {
  const transport = transportTo(sshd);
  const channel = await transport.open(['cat'], ignore);
  const reading = assert.rejects(readAll(channel.answers), { code: 'CONNECTION_LOST' });
  await write(channel, Buffer.alloc(MiB));
  await sshd.cutConnections();
  await assert.rejects(async () => {
    for (;;) await write(channel, Buffer.alloc(MiB));
  });
  await reading;
  const end = await channel.end;
  assert.equal(end.status, null);
  assert.equal(end.error?.code, 'CONNECTION_LOST');
  await assert.rejects(transport.open(['true'], ignore), { code: 'CONNECTION_LOST' });
  await transport.close();
});

test('when the far side does not read then writes wait and memory stays bounded', async () => {
  const transport = transportTo(sshd);
  const channel = await transport.open(['sh', '-c', 'read line </dev/null; sleep 30'], ignore);
  const chunk = Buffer.alloc(MiB / 4);
  let taken = 0;
  void (async () => {
    for (;;) {
      await write(channel, chunk);
      taken++;
    }
  })().catch(ignore);
  let before = -1;
  while (taken !== before) {
    before = taken;
    await delay(300);
  }
  // The window is 512 KiB, or 2 MiB if it took long to answer; sshd's pipe to the command holds more.
  assert.ok(taken >= 1 && taken <= 16, `${taken} quarters of a MiB were taken`);
  channel.destroy();
  await channel.end;
  await transport.close();
});

test('when nobody reads what the far side sends then it waits, until it is to be dropped', async () => {
  const transport = transportTo(sshd);
  const sent = join(sshd.directory, 'sent');
  const script = `for i in $(seq 64); do head -c ${MiB} /dev/zero; echo >>${sent}; done`;
  const channel = await transport.open(['sh', '-c', script], ignore);
  const sentMebibytes = () => (existsSync(sent) ? statSync(sent).size : 0);
  assert.ok(await channel.answers.arrive());
  let before = -1;
  while (sentMebibytes() !== before) {
    before = sentMebibytes();
    await delay(300);
  }
  // Here, in the window of 2 MiB, and in sshd and its pipe.
  assert.ok(before <= 8, `${before} MiB were sent`);
  channel.answers.discard();
  assert.equal((await channel.end).status, 0);
  assert.equal(sentMebibytes(), 64);
  await transport.close();
});

test('when a channel is destroyed then the far side sees its input end, and the connection lives on', async () => {
  const transport = transportTo(sshd);
  const marker = join(sshd.directory, 'running');
  const script = `touch ${marker}; cat >/dev/null; rm ${marker}`;
  const channel = await transport.open(['sh', '-c', script], ignore);
  while (!existsSync(marker)) await delay(20);
  channel.destroy();
  assert.equal((await channel.end).error?.code, 'CONNECTION_LOST');
  while (existsSync(marker)) await delay(20);
  assert.equal((await finish(transport, ['echo', 'alive'])).stdout, 'alive\n');
  await transport.close();
});

test('when nobody reads standard output then the end still comes', async () => {
  const transport = transportTo(sshd);
  const channel = await transport.open(['sh', '-c', 'echo unread; exit 4'], ignore);
  assert.equal((await channel.end).status, 4);
  await transport.close();
});

test('when the server has only chacha20 then that is used', async () => {
  const chacha = await startSshd({ ciphers: 'chacha20-poly1305@openssh.com' });
  try {
    const notes: string[] = [];
    const transport = transportTo(chacha, { onNote: (note) => notes.push(note) });
    const channel = await transport.open(['cat'], ignore);
    const data = numberedMebibyte(5);
    channel.input.write(data);
    channel.input.end();
    assert.equal(sha256(await readAll(channel.answers)), sha256(data));
    await transport.close();
    assert.match(notes.join('\n'), /chacha20-poly1305@openssh\.com/);
  } finally {
    await chacha.stop();
  }
});

test('when the server names its further host keys then it is not asked to prove them', async () => {
  const server = await startSshd({
    hostKeyTypes: ['ed25519', 'rsa'],
    extraLines: ['LogLevel DEBUG'],
  });
  try {
    const transport = transportTo(server);
    const channel = await transport.open(['cat'], ignore);
    channel.input.write(Buffer.from('through'));
    channel.input.end();
    assert.equal((await readAll(channel.answers)).toString(), 'through');
    await transport.close();
    assert.match(server.log(), /rtype cancel-tcpip-forward/); // in its place
    assert.doesNotMatch(server.log(), /hostkeys-prove/);
  } finally {
    await server.stop();
  }
});

test('when the server has no cipher in common then -e ssh is named', async () => {
  const old = await startSshd({ ciphers: 'aes256-cbc' });
  try {
    const transport = transportTo(old);
    await assert.rejects(transport.open(['true'], ignore), {
      code: 'TRANSPORT_UNSUPPORTED',
      hint: /-e ssh/,
    });
    await transport.close();
  } finally {
    await old.stop();
  }
});
