/** `--bootstrap`: to a real sshd in whose PATH there is Node and no lvmsync. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bootstrapped, rshTransport } from '#lvmsync/index.js';
import { mustRun, runCommand } from '../support/command.js';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { prebuilds } from '../support/prebuilds.js';
import { createRandom } from '../support/random.js';
import { lvmsyncPath, repositoryRoot } from '../support/repository.js';
import { startSshd, type TestSshd } from '../support/sshd.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const VOLUME_BYTES = 4 << 20;

const directory = temporaryDirectory();
const path = (name: string) => join(directory, name);
const source = path('source');
/** The TMPDIR of the receivers. */
const receiverTemp = path('receiver-tmp');

let sshd: TestSshd;
before(async () => {
  await prebuilds(process.arch);
  mkdirSync(receiverTemp);
  mkdirSync(path('empty'));
  writeFileSync(source, createRandom(7).bytes(VOLUME_BYTES));
  sshd = await startSshd({ path: [path('empty')], environment: { TMPDIR: receiverTemp } });
});
after(() => sshd.stop());

function newTarget(): string {
  const target = path('target');
  writeFileSync(target, Buffer.alloc(VOLUME_BYTES));
  return target;
}

function assertCopied(target: string): void {
  assert.ok(readFileSync(target).equals(readFileSync(source)), 'the target differs');
  assert.deepEqual(readdirSync(receiverTemp), [], 'the receiver has left something behind');
}

const ways: [string, () => string[]][] = [
  ['ssh2', () => ['--ssh-config', sshd.configFile]],
  ['-e', () => ['-e', `ssh -F ${sshd.configFile}`]],
];
for (const [name, options] of ways) {
  test(`when the host has no lvmsync then ${name} brings it, with its addon, and nothing stays`, async () => {
    const target = newTarget();
    const args = ['copy', ...options(), source, `${sshd.alias}:${target}`];
    await lvmsyncFails(args, 5, /lvmsync was not found there/);
    const { stderr } = await lvmsyncOk([...args, '--bootstrap', '-v']);
    assert.match(stderr, /Node [\d.]+, \w+, glibc; sending lvmsync with its addon/);
    // Its own engine, and the receiver's.
    assert.equal(stderr.match(/^engine: native/gm)?.length, 2, stderr);
    assertCopied(target);
  });
}

test('when what differs is repaired then the receivers of all connections are brought', async () => {
  const target = newTarget();
  const options = ['--bootstrap', '--ssh-config', sshd.configFile];
  await lvmsyncOk(['verify', '--repair', ...options, source, `${sshd.alias}:${target}`]);
  assertCopied(target);
});

test('when the unpacked archive is all there is then it sends itself, with its addon or without', async () => {
  const alone = path('alone');
  mkdirSync(alone);
  const packer = join(repositoryRoot, 'scripts', 'package-standalone');
  const archive = await mustRun(packer, ['--out', directory], { timeoutMs: 600_000 });
  await mustRun('tar', ['-xf', archive, '-C', alone, '--strip-components=1']);
  const program = join(alone, 'lvmsync.cjs');
  assert.equal(await mustRun(program, ['--version']), await mustRun(lvmsyncPath, ['--version']));
  const target = newTarget();
  const args = ['copy', '-v', '--bootstrap', '--ssh-config', sshd.configFile, source];
  const destination = `${sshd.alias}:${target}`;

  const whole = await runCommand(process.execPath, [program, ...args, destination]);
  assert.equal(whole.status, 0, whole.stderr);
  assert.equal(whole.stderr.match(/^engine: native/gm)?.length, 2, whole.stderr);
  assert.match(whole.stderr, /aes128-gcm.*encrypted by the native engine/);
  assertCopied(target);

  rmSync(join(alone, `lvmsync.linux-${process.arch}.node`));
  newTarget();
  const bare = await runCommand(process.execPath, [program, ...args, destination]);
  assert.equal(bare.status, 0, bare.stderr);
  assert.match(bare.stderr, /engine: js \(.*no lvmsync\.linux-\w+\.node beside/);
  assert.match(bare.stderr, /sending lvmsync without an addon/);
  assert.match(bare.stderr, /aes128-gcm.*no native cipher binding/);
  assertCopied(target);
});

test('when the receiver runs then its files are gone already, so that no kill leaves any', async () => {
  const rsh = script('local-rsh', `export TMPDIR=${receiverTemp}; exec sh -c "$2"`);
  const transport = bootstrapped(rshTransport({ command: rsh, host: 'host' }), {
    timeoutMs: 60_000,
    onNote() {},
  });
  const words = ['--apply', '-', '--protocol', '4', newTarget()];
  const channel = await transport.open(['lvmsync', ...words], () => {});
  assert.ok(await channel.answers.arrive());
  assert.deepEqual(readdirSync(receiverTemp), []);
  channel.destroy();
  await channel.end;
  await transport.close();
});

test('when the program is damaged on its way then it is not run and nothing stays', async () => {
  const damage = '{ head -c 5000; head -c 1 >/dev/null; printf "\\377"; cat; }';
  const rsh = script('damaging-rsh', `${damage} | TMPDIR=${receiverTemp} sh -c "$2"`);
  const target = newTarget();
  const args = ['copy', '--bootstrap', '--retries', '0', '-e', rsh, source, `host:${target}`];
  await lvmsyncFails(args, 5, /lvmsync\.cjs has not arrived as it was sent/);
  assert.ok(readFileSync(target).equals(Buffer.alloc(VOLUME_BYTES)));
  assert.deepEqual(readdirSync(receiverTemp), []);
});

test('when there is no Node, an old one, or something else then one line says so', async () => {
  const target = `${sshd.alias}:${newTarget()}`;
  const cases: [string, RegExp][] = [
    [path('none/node'), /there is no Node there/],
    [
      script('old-node', 'echo lvmsync-bootstrap 18.20.4 x64 glibc; exec cat >/dev/null'),
      /Node 18\.20\.4 is too old there[\s\S]*needs 20\.19 or later/,
    ],
    [script('other', 'echo hello; exec cat >/dev/null'), /what answers there is not Node/],
    ['true', /Node said nothing there/],
  ];
  for (const [command, message] of cases) {
    const options = ['--bootstrap', '--remote-command', command, '--ssh-config', sshd.configFile];
    await lvmsyncFails(['copy', ...options, source, target], 5, message);
  }
});

test('when a forced command answers then it says that --bootstrap cannot be', async () => {
  const target = newTarget();
  const forced = await startSshd({
    forceCommand: `${lvmsyncPath} serve --target data=${target}`,
  });
  try {
    const options = ['--ssh-config', forced.configFile, source, `${forced.alias}:data`];
    await lvmsyncFails(
      ['copy', '--bootstrap', ...options],
      5,
      /a forced command \(lvmsync serve\) answers there[\s\S]*leave --bootstrap away/,
    );
    assert.ok(readFileSync(target).equals(Buffer.alloc(VOLUME_BYTES)));
    await lvmsyncOk(['copy', ...options]);
    assertCopied(target);
  } finally {
    await forced.stop();
  }
});

function script(name: string, line: string): string {
  const file = path(name);
  writeFileSync(file, `#!/bin/sh\n${line}\n`);
  chmodSync(file, 0o755);
  return file;
}
