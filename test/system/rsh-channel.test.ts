import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { loadEngine } from '#lvmsync/block/engines.js';
import { passOn } from '#lvmsync/stream/bytes.js';
import { explainEnd } from '#lvmsync/transport/remote-exit.js';
import { rshTransport, splitWords } from '#lvmsync/transport/rsh.js';
import { readAll } from '../support/read-all.js';

let directory: string;
/** Stands in for ssh: runs its last word through sh, as sshd does, and tells its arguments. */
let fakeRsh: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lvmsync rsh '));
  fakeRsh = join(directory, 'fake rsh');
  await writeFile(
    fakeRsh,
    '#!/bin/sh\nprintf "[%s]" "$@" >"$(dirname "$0")/args"\nfor line; do :; done\nexec sh -c "$line"\n',
  );
  await chmod(fakeRsh, 0o755);
});
after(() => rm(directory, { recursive: true }));

const ignore = () => {};
const quoted = () => `'${fakeRsh}'`;

test('when -e is split then quotes keep spaces and a doubled quote stands for itself', () => {
  assert.deepEqual(splitWords("ssh -p 22 -i 'a b'"), ['ssh', '-p', '22', '-i', 'a b']);
  assert.deepEqual(splitWords('  a"b c"d  e '), ['ab cd', 'e']);
  assert.deepEqual(splitWords("'it''s' \"\" \\n"), ["it's", '', '\\n']);
  assert.deepEqual(splitWords('ssh -o "ProxyCommand=nc ""%h"" %p"'), [
    'ssh',
    '-o',
    'ProxyCommand=nc "%h" %p',
  ]);
  assert.throws(() => splitWords("ssh 'x"), { code: 'USAGE' });
  assert.throws(() => rshTransport({ command: ' ', host: 'h' }), { code: 'USAGE' });
});

function noDescriptorLeft(): never {
  throw new Error('too many open files');
}

/** Who writes to the standard input of the command. */
for (const [who, engine] of [
  ['Node', undefined],
  ['Node since the engine cannot', { adoptSocket: noDescriptorLeft }],
  ['the engine', loadEngine('native').engine],
] as const) {
  test(`when a command runs then bytes, standard error and status come through, written by ${who}`, async () => {
    const transport = rshTransport({ command: `${quoted()} -p 2222`, host: 'u@h', engine });
    const stderr: Buffer[] = [];
    const script = 'cat; echo oops >&2; exit 7';
    const channel = await transport.open(['sh', '-c', script], (chunk) => stderr.push(chunk));
    const data = Buffer.alloc(8 << 20, 'lvmsync');
    channel.input.write(data);
    channel.input.end();
    const sum = createHash('sha256');
    await passOn(channel.answers, (chunk) => sum.update(chunk));
    assert.equal(sum.digest('hex'), createHash('sha256').update(data).digest('hex'));
    assert.deepEqual(await channel.end, { status: 7, signal: null });
    assert.equal(Buffer.concat(stderr).toString(), 'oops\n');
    assert.equal(
      await readFile(join(directory, 'args'), 'utf8'),
      "[-p][2222][u@h][sh -c 'cat; echo oops >&2; exit 7']",
    );
  });

  test(`when a remote command is given then the remote shell sees its words as they are, written by ${who}`, async () => {
    const transport = rshTransport({
      engine,
      command: quoted(),
      host: 'h',
      remoteCommand: 'env X=1 printf %s,',
    });
    const channel = await transport.open(['lvmsync', '--apply', 'a b'], ignore);
    channel.input.end();
    const printed = (await readAll(channel.answers)).toString();
    assert.equal(printed, '--apply,a b,');
    assert.equal((await channel.end).status, 0);
  });

  test(`when the command of -e does not exist then open says so, written by ${who}`, async () => {
    const transport = rshTransport({ command: '/nonexistent/ssh -x', host: 'h', engine });
    await assert.rejects(transport.open(['lvmsync'], ignore), {
      code: 'CONNECT_FAILED',
      message: /cannot start \/nonexistent\/ssh/,
    });
  });

  test(`when the far side ends without reading then its status is told and no write hangs, written by ${who}`, async () => {
    const transport = rshTransport({ command: quoted(), host: 'h', engine });
    const channel = await transport.open(['lvmsync-is-not-here'], ignore);
    const writeError = await new Promise<Error | null | undefined>((resolve) => {
      const next = (error?: Error | null) => {
        if (error) resolve(error);
        else channel.input.write(Buffer.alloc(1 << 20), next);
      };
      next();
    });
    assert.ok(writeError instanceof Error);
    const end = await channel.end;
    assert.equal(end.status, 127);
    const error = explainEnd(end, { description: channel.description, command: 'lvmsync' });
    assert.equal(error?.code, 'REMOTE_NOT_STARTED');
  });

  test(`when ssh itself fails with 255 then it is the connection that failed, written by ${who}`, async () => {
    const transport = rshTransport({ command: quoted(), host: 'h', engine });
    const channel = await transport.open(['exit', '255'], ignore);
    assert.equal((await channel.end).error?.code, 'CONNECTION_LOST');
  });

  test(`when the far side is killed then the signal is told, written by ${who}`, async () => {
    const transport = rshTransport({ command: quoted(), host: 'h', engine });
    const channel = await transport.open(['sh', '-c', 'kill -9 $PPID $$'], ignore);
    assert.equal((await channel.end).signal, 'SIGKILL');
  });

  test(`when something holds standard error open after the end then the end still comes, written by ${who}`, async () => {
    const transport = rshTransport({ command: quoted(), host: 'h', engine });
    const channel = await transport.open(['sh', '-c', 'sleep 30 & exit 0'], ignore);
    assert.equal((await channel.end).status, 0);
    channel.destroy();
  });

  test(`when the transport is closed then a far side that ignores SIGTERM is ended too, written by ${who}`, async () => {
    const transport = rshTransport({ command: quoted(), host: 'h', engine });
    const channel = await transport.open(
      ['exec', 'sh', '-c', 'trap "" TERM; echo up; while :; do sleep 0.1; done'],
      ignore,
    );
    assert.ok(await channel.answers.arrive());
    await transport.close();
    assert.equal((await channel.end).signal, 'SIGKILL');
  });
}
