import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import ssh2, { type AuthContext, type Server } from 'ssh2';
import { sshTransport } from '#lvmsync/transport/ssh2/transport.js';

// A real sshd checks passwords against the machine's accounts, which a test must not touch: the
// far side here is ssh2's own server, which takes whatever the test decides.

let directory: string;
let server: Server;
let port = 0;
let method: 'password' | 'keyboard-interactive' = 'password';

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lvmsync-password-'));
  const hostKey = join(directory, 'host');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', hostKey]);
  server = new ssh2.Server({ hostKeys: [await readFile(hostKey)] }, (client) => {
    client.on('error', () => {});
    client.on('authentication', (context) => decide(context));
    client.on('session', (accept) => {
      accept().on('exec', (acceptExec) => {
        const channel = acceptExec();
        channel.exit(0);
        channel.end();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address: AddressInfo | string | null = server.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
  const encoded = (await readFile(`${hostKey}.pub`, 'utf8')).split(' ').slice(0, 2).join(' ');
  await writeFile(join(directory, 'known_hosts'), `[127.0.0.1]:${port} ${encoded}\n`);
});
after(async () => {
  server.close();
  await rm(directory, { recursive: true });
});

function decide(context: AuthContext): void {
  if (context.method === 'password' && method === 'password' && context.password === 'right') {
    context.accept();
  } else if (context.method === 'keyboard-interactive' && method === 'keyboard-interactive') {
    const questions = [
      { prompt: 'Your \x1b[2Jname? ', echo: true },
      { prompt: 'Code: ', echo: false },
    ];
    context.prompt(questions, (answers) => {
      if (answers.join() === 'me,right') context.accept();
      else context.reject([method]);
    });
  } else {
    context.reject([method]);
  }
}

async function login(answers: string[]): Promise<string[]> {
  const asked: string[] = [];
  const transport = sshTransport({
    host: '127.0.0.1',
    user: 'me',
    port,
    configPath: '/dev/null',
    configOptions: [
      'IdentityFile=none',
      'IdentityAgent=none',
      `UserKnownHostsFile=${join(directory, 'known_hosts')}`,
    ],
    terminal: {
      async ask(question, echo) {
        asked.push(`${echo} ${question}`);
        return answers.shift() ?? 'wrong';
      },
    },
  });
  try {
    const channel = await transport.open(['true'], () => {});
    assert.equal((await channel.end).status, 0);
  } finally {
    await transport.close();
  }
  return asked;
}

test('when the server takes passwords then one is asked for, three times at most', async () => {
  method = 'password';
  const question = "hidden me@127.0.0.1's password: ";
  assert.deepEqual(await login(['wrong', 'right']), [question, question]);
  const answers = ['a', 'b', 'c', 'right'];
  await assert.rejects(login(answers), {
    code: 'AUTHENTICATION_FAILED',
    message: /permission denied \(password\): tried password/,
  });
  assert.deepEqual(answers, ['right']);
});

test('when the server asks questions then they are put as it wants them, without its control characters', async () => {
  method = 'keyboard-interactive';
  assert.deepEqual(await login(['me', 'right']), ['shown Your [2Jname? ', 'hidden Code: ']);
});
