import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { resolveConfig } from '#lvmsync/transport/ssh2/config.js';
import { parseJumps } from '#lvmsync/transport/ssh2/proxy-jump.js';

let directory: string;
let configPath: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lvmsync-ssh-config-'));
  configPath = join(directory, 'config');
  await writeFile(
    configPath,
    `Host alias
  HostName real.example
  Port 2222
  User somebody
  IdentityFile ~/.ssh/%r@%h:%p
  IdentityFile "\${HERE}/second key"
  UserKnownHostsFile /a/known "/b/with space" ~/known
  IdentityAgent $MY_AGENT
  ProxyCommand nc %h %p %r %n 100%%
  ConnectTimeout 7
  StrictHostKeyChecking accept-new
Host jumping
  ProxyJump one,two@[::1]:33
Host plain
  IdentityFile none
  IdentityAgent none
  StrictHostKeyChecking no
  ServerAliveInterval 5
`,
  );
});
after(() => rm(directory, { recursive: true }));

test('when ssh has a configuration for an alias then all of it is taken over', async () => {
  const environment = { ...process.env, HERE: '/here', MY_AGENT: '/agent.sock' };
  const source = { configPath, environment };
  const config = await resolveConfig({ host: 'alias' }, source);
  const home = userInfo().homedir;
  assert.equal(config.hostName, 'real.example');
  assert.equal(config.port, 2222);
  assert.equal(config.user, 'somebody');
  assert.deepEqual(config.identityFiles, [
    `${home}/.ssh/somebody@real.example:2222`,
    '/here/second key',
  ]);
  assert.deepEqual(config.userKnownHostsFiles, ['/a/known', '/b/with space', `${home}/known`]);
  assert.equal(config.agentSocket, '/agent.sock');
  assert.equal(config.proxyCommand, 'nc real.example 2222 somebody alias 100%');
  assert.equal(config.connectTimeoutMs, 7000);
  assert.equal(config.strictHostKeyChecking, 'accept-new');

  const jumping = await resolveConfig({ host: 'jumping', user: 'me', port: 44 }, source);
  assert.equal(jumping.proxyJump, 'one,two@[::1]:33');
  assert.equal(jumping.user, 'me');
  assert.equal(jumping.port, 44);

  const plain = await resolveConfig({ host: 'plain' }, source);
  assert.deepEqual(plain.identityFiles, []);
  assert.equal(plain.agentSocket, undefined);
  assert.equal(plain.strictHostKeyChecking, 'no');
  assert.equal(plain.serverAliveIntervalMs, 5000);
});

test('when options are given then they go ahead of the file', async () => {
  const config = await resolveConfig(
    { host: 'x' },
    { configPath: '/dev/null', options: ['Port=99', 'HostName=y'], environment: process.env },
  );
  assert.equal(config.port, 99);
  assert.equal(config.hostName, 'y');
});

test('when the configuration has an error then it is told with its file and line', async () => {
  const wrong = join(directory, 'wrong');
  await writeFile(wrong, 'Host *\n  NoSuchKeyword x\n');
  await assert.rejects(
    resolveConfig({ host: 'x' }, { configPath: wrong, environment: process.env }),
    {
      code: 'CONNECT_FAILED',
      message: /wrong: line \d+: Bad configuration option: nosuchkeyword/,
    },
  );
});

test('when there is no OpenSSH then its defaults stand, and a configuration file is an error', async () => {
  const sshProgram = join(directory, 'no-ssh');
  const environment = { SSH_AUTH_SOCK: '/agent' };
  const config = await resolveConfig({ host: '::1', user: 'me' }, { sshProgram, environment });
  assert.equal(config.hostName, '::1');
  assert.equal(config.port, 22);
  assert.equal(config.user, 'me');
  assert.equal(config.agentSocket, '/agent');
  assert.ok(config.identityFiles.includes(join(userInfo().homedir, '.ssh/id_ed25519')));
  assert.equal(config.strictHostKeyChecking, 'ask');
  await assert.rejects(resolveConfig({ host: 'x' }, { sshProgram, configPath, environment }), {
    code: 'CONNECT_FAILED',
    message: /is needed to read/,
  });
});

test('when ProxyJump names hosts then users, ports and brackets are read', () => {
  assert.deepEqual(parseJumps('a,me@b:22, ssh://u@[::1]:33/'), [
    { host: 'a', user: undefined, port: undefined },
    { host: 'b', user: 'me', port: 22 },
    { host: '::1', user: 'u', port: 33 },
  ]);
  for (const wrong of ['', 'a,,b', '-oX', 'a:b', 'a:1:2', 'me@']) {
    assert.throws(() => parseJumps(wrong), { code: 'CONNECT_FAILED' }, wrong);
  }
});
