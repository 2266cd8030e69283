import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { AuthContext } from 'ssh2';
import { sshTransport } from '#lvmsync/transport/ssh2/transport.js';
import { type Ssh2Server, startSsh2Server } from '../support/ssh2-server.js';
import { temporaryDirectory } from '../support/temp-dir.js';

// A real sshd checks passwords against the machine's accounts, which a test must not touch: the
// far side here is ssh2's own server, which takes whatever the test decides.

const directory = temporaryDirectory();
let server: Ssh2Server;
let method: 'password' | 'keyboard-interactive' = 'password';

before(async () => {
  server = await startSsh2Server(
    directory,
    (context) => decide(context),
    (channel) => {
      channel.exit(0);
      channel.end();
    },
  );
});
after(() => server.stop());

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
    port: server.port,
    configPath: '/dev/null',
    configOptions: [
      'IdentityFile=none',
      'IdentityAgent=none',
      `UserKnownHostsFile=${server.knownHostsFile}`,
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
