import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { finish, transportTo, tryLogin } from '../support/ssh-session.js';
import { startSshd, type TestSshd } from '../support/sshd.js';

let directory: string;
let target: TestSshd;
let jump: TestSshd;
let secondJump: TestSshd;
let closedJump: TestSshd;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lvmsync-proxy-'));
  [target, jump, secondJump, closedJump] = await Promise.all([
    startSshd(),
    startSshd({ alias: 'jump' }),
    startSshd({ alias: 'second' }),
    startSshd({ alias: 'closed', extraLines: ['AllowTcpForwarding no'] }),
  ]);
});
after(async () => {
  await Promise.all([target, jump, secondJump, closedJump].map((server) => server.stop()));
  await rm(directory, { recursive: true });
});

/** One ssh_config for all servers, with a line more for the target. */
async function configWith(line: string): Promise<string> {
  const path = join(directory, 'config');
  const all = [target, jump, secondJump, closedJump].map(({ configFile }) => readFile(configFile));
  await writeFile(path, `Host receiver\n  ${line}\n${(await Promise.all(all)).join('')}`);
  return path;
}

const logins = (server: TestSshd) => server.log().match(/Accepted publickey/g)?.length ?? 0;

test('when ProxyJump names a host then the connection goes through it', async () => {
  const before = logins(jump);
  const transport = transportTo(target, { configPath: await configWith('ProxyJump jump') });
  const { stdout, end } = await finish(transport, ['head', '-c', '4000000', '/dev/zero']);
  assert.equal(stdout.length, 4_000_000);
  assert.equal(end.status, 0);
  await transport.close();
  assert.equal(logins(jump), before + 1);
});

test('when ProxyJump names two hosts then it goes through both', async () => {
  const before = [logins(jump), logins(secondJump)];
  const port = secondJump.port;
  await tryLogin(target, { configPath: await configWith(`ProxyJump jump,second:${port}`) });
  assert.deepEqual(
    [logins(jump), logins(secondJump)],
    before.map((count) => count + 1),
  );
});

test('when the jump host refuses to forward then the error names it', async () => {
  await assert.rejects(tryLogin(target, { configPath: await configWith('ProxyJump closed') }), {
    code: 'CONNECT_FAILED',
    message: /through closed/,
  });
});

test('when the jump host dies midway then the channel says the connection was lost', async () => {
  const transport = transportTo(target, { configPath: await configWith('ProxyJump jump') });
  const channel = await transport.open(['cat'], () => {});
  let isOver = false;
  // In every turn, so that something is written between what tells of the end and the end.
  setImmediate(function writeOn() {
    channel.input.write(Buffer.alloc(100));
    if (!isOver) setImmediate(writeOn);
  });
  await jump.cutConnections();
  assert.equal((await channel.end).error?.code, 'CONNECTION_LOST');
  isOver = true;
  await transport.close();
});

test('when a host jumps through itself then that is an error and no loop', async () => {
  await assert.rejects(tryLogin(target, { configPath: await configWith('ProxyJump receiver') }), {
    code: 'CONNECT_FAILED',
    message: /more than 8 hosts/,
  });
});

test('when ProxyCommand is set then the connection goes through its pipes', async () => {
  const before = logins(jump);
  const path = join(directory, 'config');
  const configPath = await configWith(`ProxyCommand ssh -F ${path} -W %h:%p jump`);
  const transport = transportTo(target, { configPath });
  const { stdout } = await finish(transport, ['head', '-c', '4000000', '/dev/zero']);
  assert.equal(stdout.length, 4_000_000);
  await transport.close();
  assert.equal(logins(jump), before + 1);
});

for (const command of ['false', '/nonexistent/proxy']) {
  test(`when the ProxyCommand is ${command} then connecting fails at once`, async () => {
    await assert.rejects(
      tryLogin(target, { configPath: await configWith(`ProxyCommand ${command}`) }),
      {
        code: 'CONNECT_FAILED',
      },
    );
  });
}
