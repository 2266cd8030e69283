import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync } from 'node:fs';
import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { LvmsyncError } from '#lvmsync/errors.js';
import type { SshOptions } from '#lvmsync/transport/ssh2/transport.js';
import { tryLogin } from '../support/ssh-session.js';
import { startSshd, type TestSshd } from '../support/sshd.js';

const PASSPHRASE = 'opensesame';

let directory: string;
let sshd: TestSshd;
let agent: ChildProcess;
let agentSocket: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lvmsync-auth-'));
  sshd = await startSshd();
  agentSocket = join(directory, 'agent');
  agent = spawn('ssh-agent', ['-D', '-a', agentSocket], { stdio: 'ignore' });
  while (!existsSync(agentSocket)) await delay(20);
  makeKey('stranger', '-t', 'ed25519', '-N', '');
  for (const type of ['rsa', 'ecdsa']) letIn(makeKey(type, '-t', type, '-N', ''));
  letIn(makeKey('pem', '-t', 'rsa', '-m', 'PEM', '-N', ''));
  letIn(makeKey('encrypted', '-t', 'ed25519', '-N', PASSPHRASE));
  letIn(makeKey('encrypted-pem', '-t', 'rsa', '-m', 'PEM', '-N', PASSPHRASE));
  makeKey('encrypted-stranger', '-t', 'ed25519', '-N', PASSPHRASE);
});
after(async () => {
  agent.kill();
  await sshd.stop();
  await rm(directory, { recursive: true });
});

function makeKey(name: string, ...args: string[]): string {
  const path = join(directory, name);
  execFileSync('ssh-keygen', ['-q', '-C', name, '-f', path, ...args]);
  return path;
}

function letIn(path: string): void {
  const line = execFileSync('cat', [`${path}.pub`]);
  appendFileSync(join(sshd.directory, 'authorized_keys'), line);
}

/** A copy of the server's ssh_config that has other keys and agents. */
let copies = 0;
async function login(lines: string[], options: Partial<SshOptions> = {}): Promise<string[]> {
  const configPath = join(directory, `config-${++copies}`);
  const theirs = await readFile(sshd.configFile, 'utf8');
  const kept = theirs.replace(
    /^ *(IdentityFile|IdentitiesOnly|IdentityAgent|BatchMode) .*\n/gm,
    '',
  );
  await writeFile(configPath, `Host *\n${lines.map((line) => `  ${line}\n`).join('')}${kept}`);
  const notes: string[] = [];
  const onNote = (note: string) => notes.push(note);
  try {
    await tryLogin(sshd, { configPath, onNote, ...options });
  } finally {
    // Nothing we print may hold a secret.
    assert.ok(!notes.join('\n').includes(PASSPHRASE));
  }
  return notes;
}

/** What a login that must fail says. */
async function refusal(lines: string[], options: Partial<SshOptions> = {}): Promise<LvmsyncError> {
  let refused: LvmsyncError | undefined;
  await assert.rejects(login(lines, options), (error: LvmsyncError) => {
    refused = error;
    return true;
  });
  assert.ok(refused);
  assert.doesNotMatch(`${refused.message}${refused.hint}`, new RegExp(`${PASSPHRASE}|\n`));
  return refused;
}

const key = (name: string) => [`IdentityFile ${join(directory, name)}`, 'IdentityAgent none'];
const agentOnly = () => ['IdentityFile none', `IdentityAgent ${agentSocket}`];
const sshAdd = (...args: string[]) =>
  execFileSync('ssh-add', ['-q', ...args], {
    env: { ...process.env, SSH_AUTH_SOCK: agentSocket },
    stdio: 'ignore',
  });

for (const name of ['rsa', 'ecdsa', 'pem']) {
  test(`when the key file is of kind ${name} then the login works`, async () => {
    await login(key(name));
  });
}

test('when the server does not know the key then the error lists what was tried', async () => {
  const error = await refusal(key('stranger'));
  assert.equal(error.code, 'AUTHENTICATION_FAILED');
  assert.match(error.message, /permission denied \(publickey\): tried .*\/stranger$/);
});

test('when the first key is not known then the next one is tried', async () => {
  await login([`IdentityFile ${join(directory, 'stranger')}`, ...key('rsa')]);
});

test('when no key is there at all then that is said', async () => {
  const error = await refusal(key('nowhere'));
  assert.equal(error.code, 'AUTHENTICATION_FAILED');
  assert.match(error.message, /nothing to offer; skipped .*\/nowhere: no such file/);
});

test('when a key file is readable by others then it is skipped, as ssh does', async () => {
  const path = join(directory, 'open');
  await copyFile(join(directory, 'rsa'), path);
  await chmod(path, 0o644);
  const error = await refusal(key('open'));
  assert.match(error.message, /\/open: its permissions 644 let others read it/);
});

test('when a key is encrypted and there is no terminal then it is skipped and said', async () => {
  for (const name of ['encrypted', 'encrypted-pem']) {
    const error = await refusal(key(name));
    assert.equal(error.code, 'AUTHENTICATION_FAILED');
    assert.match(error.message, /it is encrypted, and there is no terminal/);
  }
});

test('when there is somebody to ask then the passphrase opens the key', async () => {
  for (const name of ['encrypted', 'encrypted-pem']) {
    const asked: string[] = [];
    const terminal = {
      async ask(question: string, echo: string) {
        asked.push(`${echo} ${question}`);
        return asked.length === 1 ? 'wrong' : PASSPHRASE;
      },
    };
    await login(key(name), { terminal });
    const question = `hidden Enter passphrase for key '${join(directory, name)}': `;
    assert.deepEqual(asked, [question, question]);
  }
});

test('when the server would not take an encrypted key then its passphrase is not asked for', async () => {
  const terminal = { ask: () => assert.fail('nothing should be asked') };
  await login([`IdentityFile ${join(directory, 'encrypted-stranger')}`, ...key('rsa')], {
    terminal,
  });
});

test('when every passphrase is wrong then the login fails in the end', async () => {
  let asked = 0;
  const terminal = {
    async ask() {
      asked++;
      return 'wrong';
    },
  };
  // The server takes keys only, so three questions are all there are.
  const error = await refusal(key('encrypted'), { terminal });
  assert.equal(error.code, 'AUTHENTICATION_FAILED');
  assert.equal(asked, 3);
});

test('when the agent holds the key then it signs, whatever the type', async () => {
  for (const name of ['rsa', 'ecdsa', 'encrypted']) {
    const plain = join(directory, `${name}-for-agent`);
    await copyFile(join(directory, name), plain);
    execFileSync('ssh-keygen', [
      '-q',
      '-p',
      '-P',
      name === 'encrypted' ? PASSPHRASE : '',
      '-N',
      '',
      '-f',
      plain,
    ]);
    sshAdd(plain);
    await login(agentOnly());
    sshAdd('-D');
  }
});

test('when IdentitiesOnly is set then the agent only signs for the keys that are named', async () => {
  sshAdd(join(directory, 'rsa'));
  const only = ['IdentitiesOnly yes', `IdentityAgent ${agentSocket}`];
  const error = await refusal([...only, `IdentityFile ${join(directory, 'stranger')}`]);
  assert.match(error.message, /tried \S+\/stranger$/);
  // A public key names it; there is no private half in that place.
  const named = join(directory, 'named');
  await copyFile(join(directory, 'rsa.pub'), `${named}.pub`);
  await login([...only, `IdentityFile ${named}`]);
  sshAdd('-D');
});

test('when the agent does not answer then key files still work, and that is noted', async () => {
  const notes = await login([
    `IdentityFile ${join(directory, 'rsa')}`,
    `IdentityAgent ${join(directory, 'no-agent')}`,
  ]);
  assert.match(notes.join('\n'), /skipped agent at .*no-agent/);
});

test('when the agent holds more keys than the server tries then the hint says what to do', async () => {
  for (let number = 0; number < 7; number++)
    sshAdd(makeKey(`many-${number}`, '-t', 'ed25519', '-N', ''));
  const error = await refusal(agentOnly());
  assert.equal(error.code, 'AUTHENTICATION_FAILED');
  assert.match(error.message, /too many authentication failures/i);
  assert.match(error.hint ?? '', /IdentitiesOnly/);
  sshAdd('-D');
});

test('when there is a certificate or a hardware key then -e ssh is named', async () => {
  const certified = makeKey('certified', '-t', 'ed25519', '-N', '');
  execFileSync('ssh-keygen', [
    '-q',
    '-s',
    join(directory, 'stranger'),
    '-I',
    'x',
    '-n',
    'root',
    `${certified}.pub`,
  ]);
  const error = await refusal(key('certified'));
  assert.match(error.message, /certified-cert\.pub: certificates are not supported/);
  assert.match(error.hint ?? '', /-e ssh/);

  await writeFile(join(directory, 'fido'), hardwareKeyFile(), { mode: 0o600 });
  const hardware = await refusal(key('fido'));
  assert.match(hardware.message, /hardware key \(FIDO\)/);
  assert.match(hardware.hint ?? '', /-e ssh/);
});

/** The clear part of a private key file of a FIDO key (PROTOCOL.key, PROTOCOL.u2f). */
function hardwareKeyFile(): string {
  const string = (text: string | Buffer) => {
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const publicKey = Buffer.concat(
    ['sk-ssh-ed25519@openssh.com', Buffer.alloc(32), 'ssh:'].map(string),
  );
  const one = Buffer.from([0, 0, 0, 1]);
  const body = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    ...['none', 'none', ''].map(string),
    one,
    ...[publicKey, Buffer.alloc(64)].map(string),
  ]);
  const armour = (word: string) => `-----${word} OPENSSH PRIVATE KEY-----\n`;
  return `${armour('BEGIN')}${body.toString('base64')}\n${armour('END')}`;
}

test('when there is a real terminal then the passphrase is asked for there, unseen', async () => {
  const lines = [...key('encrypted'), 'BatchMode no'];
  const configPath = join(directory, 'config-terminal');
  const theirs = (await readFile(sshd.configFile, 'utf8')).replace(/^ *(Identity|Batch).*\n/gm, '');
  await writeFile(configPath, `Host *\n${lines.join('\n')}\n${theirs}`);
  const program = fileURLToPath(new URL('../support/ssh-login.js', import.meta.url));
  const line = [process.execPath, program, sshd.alias, configPath].join(' ');
  const child = spawn('script', ['-qec', line, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let screen = '';
  const answers = [`wrong\r`, `opensez\x7fsame\r`];
  child.stdout.on('data', (chunk) => {
    screen += chunk;
    if ((screen.match(/Enter passphrase/g)?.length ?? 0) > 2 - answers.length) {
      child.stdin.write(answers.shift() ?? '');
    }
  });
  const [status] = await once(child, 'close');
  assert.equal(status, 0, screen);
  assert.match(screen, /logged in/);
  assert.doesNotMatch(screen, /opens|wrong/);
});

test('when nobody answers on the port then connecting fails in ConnectTimeout', async () => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const address = silent.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  try {
    await assert.rejects(tryLogin(sshd, { configOptions: [`Port=${port}`, 'ConnectTimeout=1'] }), {
      code: 'CONNECT_FAILED',
      message: /no login within 1 s/,
    });
  } finally {
    silent.close();
  }
  await assert.rejects(tryLogin(sshd, { configOptions: [`Port=${port}`] }), {
    code: 'CONNECT_FAILED',
    message: /connection refused/,
  });
});
