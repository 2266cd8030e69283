import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runCommand } from '../support/command.js';
import { repositoryRoot } from '../support/repository.js';
import { startSshd, type TestSshd } from '../support/sshd.js';

let sshd: TestSshd;
before(async () => {
  sshd = await startSshd();
});
after(() => sshd.stop());

const ssh = (...args: string[]) => runCommand('ssh', ['-F', sshd.configFile, ...args]);

test('when the throwaway key is offered then a command runs, its input and status pass through', async () => {
  const result = await runCommand('ssh', ['-F', sshd.configFile, sshd.alias, 'cat; exit 7'], {
    input: 'through',
  });
  assert.equal(result.stdout.toString(), 'through');
  assert.equal(result.status, 7);
});

test('when a session looks for programs then the checkout and this Node come first', async () => {
  const result = await ssh(sshd.host, 'echo $PATH; command -v node');
  const [path, node] = result.stdout.toString().split('\n');
  assert.ok(path?.startsWith(join(repositoryRoot, 'bin')), path);
  assert.equal(node, process.execPath);
});

test('when the host key is another one then OpenSSH refuses it', async () => {
  const other = await startSshd();
  try {
    const option = `UserKnownHostsFile=${other.knownHostsFile}`;
    const result = await ssh(
      '-o',
      option,
      '-o',
      `HostKeyAlias=[127.0.0.1]:${other.port}`,
      sshd.alias,
      'true',
    );
    assert.equal(result.status, 255);
    assert.match(result.stderr, /REMOTE HOST IDENTIFICATION HAS CHANGED/);
  } finally {
    await other.stop();
  }
});

test('when the server is configured then it keeps to it', async () => {
  const other = await startSshd({
    ciphers: 'aes256-ctr',
    hostKeyTypes: ['ecdsa', 'rsa'],
    hostKeyAlgorithms: 'rsa-sha2-512',
    forceCommand: 'echo forced',
    environment: { LVMSYNC_TEST: 'yes' },
  });
  try {
    const result = await runCommand('ssh', ['-v', '-F', other.configFile, other.alias, 'true']);
    assert.equal(result.stdout.toString(), 'forced\n');
    assert.match(result.stderr, /cipher: aes256-ctr/);
    assert.match(result.stderr, /host key algorithm: rsa-sha2-512/);
  } finally {
    await other.stop();
  }
  assert.equal(existsSync(other.directory), false);
});

test('when connections are cut then clients see it and the server goes on', async () => {
  const sessions = () => sshd.log().split('Starting session').length;
  const earlier = sessions();
  const asleep = ssh(sshd.alias, 'sleep 60');
  while (sessions() === earlier) await sleep(20);
  await sshd.cutConnections();
  assert.equal((await asleep).status, 255);
  assert.equal((await ssh(sshd.alias, 'true')).status, 0);
});
