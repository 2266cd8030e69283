import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { explainEnd } from '#lvmsync/transport/remote-exit.js';
import { rshTransport } from '#lvmsync/transport/rsh.js';
import { readAll } from '../support/read-all.js';
import { finish, write } from '../support/ssh-session.js';
import { startSshd, type TestSshd } from '../support/sshd.js';

const MiB = 1 << 20;
const ignore = () => {};

let sshd: TestSshd;
before(async () => {
  sshd = await startSshd();
});
after(() => sshd.stop());

const ssh = (more = '') =>
  rshTransport({ command: `ssh -F '${sshd.configFile}' ${more}`, host: sshd.alias });

test('when -e is the real ssh then bytes go both ways whole and words stay words', async () => {
  const transport = ssh();
  const channel = await transport.open(['cat'], ignore);
  const reading = readAll(channel.answers);
  const data = Buffer.concat(Array.from({ length: 64 }, (_, number) => Buffer.alloc(MiB, number)));
  await write(channel, data);
  channel.input.end();
  const received = await reading;
  const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  assert.equal(sha256(received), sha256(data));
  assert.deepEqual(await channel.end, { status: 0, signal: null });
  const words = ['a b', "it's", '$HOME', ''];
  const { stdout } = await finish(transport, ['printf', '[%s]', ...words]);
  assert.equal(stdout, words.map((word) => `[${word}]`).join(''));
});

test('when lvmsync is not there then one clear line says so', async () => {
  const { end } = await finish(ssh(), ['lvmsync-is-not-here', '--apply', '-']);
  const error = explainEnd(end, { description: 'ssh receiver', command: 'lvmsync' });
  assert.equal(error?.message, 'ssh receiver: lvmsync was not found there');
});

test('when ssh cannot connect then that is told apart from a failing receiver', async () => {
  const { end, stderr } = await finish(ssh('-p 1'), ['true']);
  assert.equal(end.error?.code, 'CONNECTION_LOST');
  assert.match(stderr, /refused/i);
});

test('when the connection is cut midway then the end says so and no write hangs', async () => {
  const channel = await ssh().open(['cat', '-'], ignore);
  await write(channel, Buffer.alloc(MiB));
  await sshd.cutConnections();
  await assert.rejects(async () => {
    for (;;) await write(channel, Buffer.alloc(MiB));
  });
  assert.equal((await channel.end).error?.code, 'CONNECTION_LOST');
});

test('when ssh leaves a master connection behind then the end still comes', async () => {
  const control = join(sshd.directory, 'control');
  const transport = ssh(`-o ControlMaster=auto -o ControlPath=${control} -o ControlPersist=60`);
  assert.deepEqual((await finish(transport, ['true'])).end, { status: 0, signal: null });
  const { stdout } = await finish(transport, ['echo', 'again']);
  assert.equal(stdout, 'again\n');
  await sshd.cutConnections();
});
