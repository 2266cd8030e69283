import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Terminal } from '#lvmsync/transport/ssh2/terminal.js';
import { finish, transportTo, tryLogin } from '../support/ssh-session.js';
import { startSshd, type TestSshd } from '../support/sshd.js';

let directory: string;
let sshd: TestSshd;
/** Of ed25519 too, but not the server's. */
let otherKey: string;
/** Numbers the known_hosts files of the tests. */
let files = 0;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lvmsync-host-key-'));
  sshd = await startSshd({ hostKeyTypes: ['ed25519', 'ecdsa', 'rsa'] });
  otherKey = (await makeKey('other', 'ed25519')).split(' ').slice(0, 2).join(' ');
});
after(async () => {
  await sshd.stop();
  await rm(directory, { recursive: true });
});

async function makeKey(name: string, type: string): Promise<string> {
  const path = join(directory, name);
  execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', path]);
  return readFile(`${path}.pub`, 'utf8');
}

async function knownHosts(text: string): Promise<string> {
  const path = join(directory, `known-${++files}`);
  await writeFile(path, text);
  return path;
}

/** `ssh -o` for a known_hosts file and a strictness. */
function settings(path: string, strictness = 'yes', ...more: string[]) {
  const configOptions = [
    `UserKnownHostsFile=${path}`,
    `StrictHostKeyChecking=${strictness}`,
    'BatchMode=no',
    ...more,
  ];
  return { configOptions };
}

const name = () => `[127.0.0.1]:${sshd.port}`;
const keyOf = async (type: string) =>
  (await readFile(join(sshd.directory, `host_${type}.pub`), 'utf8'))
    .split(' ')
    .slice(0, 2)
    .join(' ');
const fingerprintOf = (type: string) =>
  execFileSync('ssh-keygen', ['-lf', join(sshd.directory, `host_${type}.pub`)])
    .toString()
    .split(' ')[1] ?? '';

/** Answers from a list, and keeps what was asked. */
function terminalSaying(...answers: string[]): Terminal & { asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    async ask(question) {
      asked.push(question);
      return answers.shift() ?? '';
    },
  };
}

test('when the key is known by host and port then the login works', async () => {
  await tryLogin(sshd, settings(await knownHosts(`${name()} ${await keyOf('ed25519')}\n`)));
});

test('when the entry is hashed then it is found', async () => {
  const path = await knownHosts(`${name()} ${await keyOf('ed25519')}\n`);
  execFileSync('ssh-keygen', ['-q', '-H', '-f', path], { stdio: 'ignore' });
  assert.match(await readFile(path, 'utf8'), /^\|1\|/);
  await tryLogin(sshd, settings(path));
});

test('when the key is known under the bare name then it is found, as ssh finds it', async () => {
  await tryLogin(sshd, settings(await knownHosts(`127.0.0.1 ${await keyOf('ed25519')}\n`)));
});

test('when another port of the host has another key then that says nothing of this one', async () => {
  const path = await knownHosts(`127.0.0.1 ${otherKey}\n`);
  await assert.rejects(tryLogin(sshd, settings(path)), {
    code: 'HOST_KEY_REFUSED',
    message: /can't be established/,
  });
});

for (const type of ['rsa', 'ecdsa', 'ed25519']) {
  test(`when only the ${type} key is known then the server is made to show that one`, async () => {
    await tryLogin(sshd, settings(await knownHosts(`${name()} ${await keyOf(type)}\n`)));
  });
}

test('when the key is unknown then it is refused with its fingerprint', async () => {
  const path = await knownHosts('');
  for (const strictness of ['yes', 'ask']) {
    await assert.rejects(tryLogin(sshd, settings(path, strictness)), (error: Error) => {
      assert.equal('code' in error && error.code, 'HOST_KEY_REFUSED');
      assert.match(
        error.message,
        /authenticity of host '\[127\.0\.0\.1\]:\d+' can't be established/,
      );
      assert.ok(error.message.includes(fingerprintOf('ed25519')), error.message);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
  }
  assert.equal(await readFile(path, 'utf8'), '');
});

for (const strictness of ['yes', 'ask', 'accept-new', 'no']) {
  test(`when the key has changed then StrictHostKeyChecking=${strictness} refuses it`, async () => {
    const path = await knownHosts(`# first\n${name()} ${otherKey}\n`);
    const before = await readFile(path, 'utf8');
    const terminal = terminalSaying('yes');
    await assert.rejects(tryLogin(sshd, { ...settings(path, strictness), terminal }), {
      code: 'HOST_KEY_REFUSED',
      message: new RegExp(`REMOTE HOST IDENTIFICATION HAS CHANGED.*${path}:2`),
      hint: /ssh-keygen .*-R/,
    });
    assert.deepEqual(terminal.asked, []);
    assert.equal(await readFile(path, 'utf8'), before);
  });
}

test('when the key is revoked then it is refused, even where it is also known', async () => {
  const key = await keyOf('ed25519');
  const path = await knownHosts(`${name()} ${key}\n@revoked * ${key}\n`);
  await assert.rejects(tryLogin(sshd, settings(path, 'accept-new')), {
    code: 'HOST_KEY_REFUSED',
    message: /REVOKED HOST KEY/,
  });
});

test('when only a certificate authority is known then -e ssh is named', async () => {
  const path = await knownHosts(`@cert-authority * ${otherKey}\n`);
  await assert.rejects(tryLogin(sshd, settings(path, 'accept-new')), {
    code: 'TRANSPORT_UNSUPPORTED',
    hint: /-e ssh/,
  });
});

for (const hashed of ['yes', 'no']) {
  test(`when new keys are accepted with HashKnownHosts=${hashed} then one is stored once and holds`, async () => {
    const path = join(directory, `new-${hashed}`, 'known_hosts');
    const warnings: string[] = [];
    const accepting = settings(path, 'accept-new', `HashKnownHosts=${hashed}`);
    await tryLogin(sshd, { ...accepting, onWarning: (text) => warnings.push(text) });
    assert.match(warnings.join(), /permanently added/);
    const stored = await readFile(path, 'utf8');
    assert.equal(stored.split('\n').length, 2);
    assert.equal(stored.startsWith('|1|'), hashed === 'yes');
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal((await stat(join(path, '..'))).mode & 0o777, 0o700);
    await tryLogin(sshd, settings(path, 'yes'));
    await tryLogin(sshd, accepting);
    assert.equal(await readFile(path, 'utf8'), stored);
  });
}

test('when a file ends without a newline then a new key still gets its own line', async () => {
  const path = await knownHosts(`elsewhere ${otherKey}`);
  await tryLogin(sshd, settings(path, 'accept-new', 'HashKnownHosts=no'));
  const lines = (await readFile(path, 'utf8')).split('\n');
  assert.equal(lines[0], `elsewhere ${otherKey}`);
  assert.ok(lines[1]?.startsWith(name()));
});

test('when a known host offers another type of key only then accept-new refuses it', async () => {
  const single = await startSshd();
  try {
    const ecdsa = (await makeKey('once-ecdsa', 'ecdsa')).split(' ').slice(0, 2).join(' ');
    const path = await knownHosts(`[127.0.0.1]:${single.port} ${ecdsa}\n`);
    await assert.rejects(tryLogin(single, settings(path, 'accept-new')), {
      code: 'HOST_KEY_REFUSED',
      message: /known by a ecdsa-sha2-nistp256 key .* but offers another type/,
    });
  } finally {
    await single.stop();
  }
});

test('when the person says yes then the key is stored, and when no then nothing is', async () => {
  const path = await knownHosts('');
  const no = terminalSaying('perhaps', 'no');
  await assert.rejects(tryLogin(sshd, { ...settings(path, 'ask'), terminal: no }), {
    code: 'HOST_KEY_REFUSED',
  });
  assert.equal(no.asked.length, 2);
  assert.ok(no.asked[0]?.includes(fingerprintOf('ed25519')));
  assert.equal(await readFile(path, 'utf8'), '');
  const yes = terminalSaying('yes');
  await tryLogin(sshd, { ...settings(path, 'ask'), terminal: yes });
  await tryLogin(sshd, settings(path, 'yes'));
});

test('when the person gives the right fingerprint then that is a yes', async () => {
  const path = await knownHosts('');
  const terminal = terminalSaying(fingerprintOf('ed25519'));
  await tryLogin(sshd, { ...settings(path, 'ask'), terminal });
  assert.notEqual(await readFile(path, 'utf8'), '');
});

test('when a host key alias is set then the key is looked up and stored by it', async () => {
  const path = await knownHosts('');
  const aliased = settings(path, 'accept-new', 'HostKeyAlias=Farm', 'HashKnownHosts=no');
  await tryLogin(sshd, aliased);
  assert.match(await readFile(path, 'utf8'), /^farm ssh-ed25519 /);
  await tryLogin(sshd, settings(path, 'yes', 'HostKeyAlias=Farm'));
});

test('when keys are exchanged anew after a new key was accepted then it stays accepted', async () => {
  const rekeying = await startSshd({ extraLines: ['RekeyLimit 1M'] });
  try {
    const path = await knownHosts('');
    const transport = transportTo(rekeying, settings(path, 'accept-new'));
    const { stdout, end } = await finish(transport, ['head', '-c', '5000000', '/dev/zero']);
    assert.equal(stdout.length, 5_000_000);
    assert.equal(end.status, 0);
    await transport.close();
    assert.equal((await readFile(path, 'utf8')).split('\n').length, 2);
  } finally {
    await rekeying.stop();
  }
});
