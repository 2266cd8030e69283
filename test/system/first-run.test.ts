/**
 * What a newcomer does wrong, and what is said: one line what, where and why, one line what to do;
 * no stack trace, and no bare name of a system error.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { getSystemErrorMap } from 'node:util';
import { type CommandOptions, type CommandResult, runCommand } from '../support/command.js';
import { createDelta } from '../support/delta.js';
import { lvmsync, lvmsyncOk } from '../support/lvmsync.js';
import { lvmsyncPath } from '../support/repository.js';
import { startSshd, type TestSshd } from '../support/sshd.js';
import { temporaryDirectory } from '../support/temp-dir.js';
import { readOriginBefore, readStoreImage } from '../support/thick-fixtures.js';

const USAGE = 2;
const REFUSED = 3;
const TRANSPORT = 4;
const REMOTE = 5;
const IO = 6;
const INTEGRITY = 7;
const INTERRUPTED = 8;

const directory = temporaryDirectory();
process.env.LVMSYNC_STATE_DIR = join(directory, 'state');
const delta = createDelta(directory, 1, 16 << 20);
const { source } = delta;
const [store, origin] = [delta.path('cow'), delta.path('origin')];
const target = delta.target('target');
const isRoot = process.getuid?.() === 0;

let sshd: TestSshd;
before(async () => {
  sshd = await startSshd();
});
after(() => sshd.stop());

const there = (path: string) => ['--ssh-config', sshd.configFile, `${sshd.alias}:${path}`];

const ERRNO_NAMES = new Set([...getSystemErrorMap().values()].map(([name]) => name));

/** A refusal that a person can do something with, and a target that is as it was. */
function assertReadable({ status, stderr }: CommandResult, wanted: number, ...said: RegExp[]) {
  assert.equal(status, wanted, stderr);
  for (const message of said) assert.match(stderr, message);
  assert.match(stderr, /^FATAL ERROR: [^\n]+\n( {2}\S.*\n)+$/m, 'what, and what to do');
  assert.doesNotMatch(stderr, /^\s+at |internal error|undefined|\[object/m);
  // `no such file or directory (ENOENT)` is explained; `ENOENT` alone is not.
  const unexplained = stderr.replaceAll(/[a-z] \(E[A-Z0-9]+\)/g, '').match(/\bE[A-Z0-9]+\b/g) ?? [];
  assert.deepEqual(
    unexplained.filter((word) => ERRNO_NAMES.has(word)),
    [],
    stderr,
  );
}

async function isTold(
  args: readonly string[],
  wanted: number,
  said: readonly RegExp[],
  options: CommandOptions = {},
): Promise<void> {
  assertReadable(await lvmsync(args, options), wanted, ...said);
  assert.ok(delta.holds(target, delta.before), 'the target was changed');
}

const USAGE_CASES: [args: string[], ...said: RegExp[]][] = [
  [[], /no snapshot given, for example:\n {2}lvmsync vg\/before backup:/, /see lvmsync --help/],
  [['coppy', 'a', 'b'], /no command "coppy"\n {2}did you mean: lvmsync copy\n/],
  [['doctr'], /did you mean: lvmsync doctor\n/],
  [['Verify', 'a', 'b', 'c'], /did you mean: lvmsync verify\n/],
  [['vg/a', 'vg/b', 'vg/c'], /one word too many: "vg\/c"\n {2}see lvmsync --help\n/],
  [['vg/before'], /no destination given/, /see lvmsync --help\n/],
  [['copy', 'a', 'b', '--thinpol', 'p'], /did you mean: --thinpool\n {2}see lvmsync copy --help\n/],
  [['--snapbak', 'u', 'vg/a', 'vg/b'], /did you mean: --snapback\n {2}see lvmsync --help\n/],
  [['copy', 'a'], /missing required argument 'target'\n {2}see lvmsync copy --help\n/],
  [['copy', 'a', 'b', '--thinpool', 'p'], /needs --create\n {2}see lvmsync copy --help\n/],
  [['verify', 'a', 'b', '--timeout', 'soon'], /number of seconds.*\n {2}see lvmsync verify --help/],
];

for (const [args, ...said] of USAGE_CASES) {
  test(`lvmsync ${args.join(' ')}`, () => isTold(args, USAGE, said));
}

test('a file that is called like a mistyped command is a file', async () => {
  writeFileSync(delta.path('coppy'), '');
  await isTold(['coppy', target], REFUSED, [/coppy is not a block device/], { cwd: directory });
});

test('every --help fits into 80 columns and names its options', async () => {
  const { stdout } = await lvmsyncOk(['--help']);
  const commands = [...stdout.toString().matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map(
    ([, name]) => name!,
  );
  assert.ok(commands.includes('copy') && commands.includes('doctor'), stdout.toString());
  const helps = await Promise.all(commands.map((name) => lvmsyncOk([name, '--help'])));
  for (const help of [stdout, ...helps.map((result) => result.stdout)]) {
    for (const line of help.toString().split('\n')) assert.ok(line.length <= 80, line);
  }
});

for (const [where, way] of [
  ['here', (path: string) => [path]],
  ['there', there],
] as const) {
  test(`a target that is wrong, ${where}`, async () => {
    const missing = way(delta.path('missing'));
    await isTold([...source, ...missing], REFUSED, [/missing does not exist\n.*lvcreate/]);
    await isTold([...source, ...way(directory)], REFUSED, [/is a directory\n/]);
    await isTold([...source, ...way('/dev/null')], REFUSED, [/is a character device\n/]);
    const blank = delta.path('blank');
    writeFileSync(blank, Buffer.alloc(16 << 20));
    await isTold([...source, ...way(blank)], REFUSED, [/does not hold what the changes/]);
    writeFileSync(delta.path('small'), Buffer.alloc(4096));
    await isTold([...source, ...way(delta.path('small'))], REFUSED, [/small|has 4096 bytes/]);
    assert.ok(!existsSync(delta.path('missing')));
  });
}

test('a target that is the source', async () => {
  await isTold([...source, origin], REFUSED, [/is the source\n/]);
  await isTold(['copy', target, target], REFUSED, [/is the source\n/]);
});

test('a source that is no snapshot', async () => {
  await isTold([target, ...there(target)], REFUSED, [/not a block device\n.*lvmsync copy/]);
  await isTold(['no-such-file', target], REFUSED, [/there is no no-such-file\n.*lvs/]);
  await isTold(['--cow-device', target, '--data-source', origin, target], REFUSED, [
    /no exception store/,
  ]);
  await isTold(['copy', delta.path('missing'), target], REFUSED, [/there is no/]);
});

test('what is no snapback and no stream', async () => {
  await isTold(['rollback', origin, target], INTEGRITY, [/origin is not an lvmsync stream/]);
  await isTold(['--apply', origin, target], INTEGRITY, [/origin is not an lvmsync stream/]);
  await isTold(['--apply', '/no/such/stream', target], IO, [
    /no such file or directory \(ENOENT\)/,
  ]);
  await isTold(['--apply', directory, target], IO, [/directory \(EISDIR\)/]);
});

test('a snapback that cannot be written', async () => {
  await isTold([...source, target, '--snapback', '/no/such/undo'], IO, [
    /cannot write the snapback .*: no such file or directory \(ENOENT\)/,
  ]);
});

test('a host whose key is unknown, or that is not there', async () => {
  const configFile = delta.path('ssh_config');
  const known = readFileSync(sshd.configFile, 'utf8');
  writeFileSync(configFile, known.replace(/UserKnownHostsFile .*/, 'UserKnownHostsFile /dev/null'));
  await isTold(['--ssh-config', configFile, ...source, `${sshd.alias}:${target}`], TRANSPORT, [
    /authenticity of host .* can't be established.*SHA256/,
    /ssh-keyscan/,
  ]);
  writeFileSync(configFile, known.replace(/Port .*/, 'Port 1'));
  await isTold(['--ssh-config', configFile, ...source, `${sshd.alias}:${target}`], TRANSPORT, [
    /cannot connect to .* port 1: connection refused/,
  ]);
  await isTold(['-e', '/no/such/rsh', ...source, `host:${target}`], TRANSPORT, [
    /cannot start \/no\/such\/rsh: there is no such command/,
  ]);
});

test('a host without lvmsync', async () => {
  const missing = [...source, ...there(target), '--remote-command', '/no/such/lvmsync'];
  await isTold(missing, REMOTE, [/not found there\n.*install lvmsync there/]);
  const noProgram = [...source, ...there(target), '--remote-command', '/etc/passwd'];
  await isTold(noProgram, REMOTE, [/cannot be executed\n/]);
  await isTold([...source, ...there(target), '--remote-command', 'true'], REMOTE, [
    /said nothing\n.*--version/,
  ]);
});

test('a snapshot that is full', async () => {
  const full = delta.path('full');
  writeFileSync(full, readStoreImage('thick-4k-overflow'));
  writeFileSync(delta.path('full-origin'), readOriginBefore());
  const args = ['--cow-device', full, '--data-source', delta.path('full-origin'), target];
  await isTold(args, INTEGRITY, [/overflowed/, /copy the whole volume/]);
});

test('a run that is interrupted, and again', async () => {
  const copy = delta.target('copy');
  const [script, passed] = [delta.path('rsh'), delta.path('passed')];
  const receiver = `lvmsync() { '${process.execPath}' '${lvmsyncPath}' "$@"; }`;
  const part = `{ dd bs=64k count=80 status=none; touch '${passed}'; cat >/dev/null; }`;
  writeFileSync(script, `#!/bin/sh\nshift\n${receiver}\n${part} | eval "$*"\n`);
  chmodSync(script, 0o755);
  const args = [lvmsyncPath, 'copy', '-e', script, origin, `host:${copy}`];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = once(child, 'close');
  while (!existsSync(passed) && child.exitCode === null) await delay(5);
  child.kill('SIGINT');
  const [status, signal] = await ended;
  const result = { status, signal, stdout: Buffer.alloc(0), stderr };
  assertReadable(result, INTERRUPTED, /interrupted before all/, /same command/);
  assert.ok(!delta.holds(copy, delta.after));
  await lvmsyncOk(['copy', origin, copy]);
  assert.ok(delta.holds(copy, delta.after));
});

/** Runs a command line through others that change what it may do. */
const through = (wrapper: readonly string[], args: readonly string[]) =>
  runCommand(wrapper[0]!, [...wrapper.slice(1), process.execPath, lvmsyncPath, ...args]);

test('without root', async (context) => {
  const asNobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
  if (!isRoot) return context.skip('only root can become nobody');
  const { status } = await through(asNobody, ['copy', '--help']);
  if (status !== 0) return context.skip('nobody may not read this checkout');
  chmodSync(directory, 0o755);
  const sent = await through(asNobody, [...source, target]);
  assertReadable(sent, REFUSED, /permission denied \(EACCES\)\n.*root/);
  const found = await through(asNobody, ['vg/before', target]);
  assertReadable(found, REFUSED, /as root|apt install lvm2/);
});

test('without LVM', async (context) => {
  const empty = delta.path('empty');
  mkdirSync(empty);
  const hide = `mount --bind '${empty}' /usr/sbin && exec "$@"`;
  const hidden = ['unshare', '--mount', 'env', 'PATH=/bin:/usr/bin', 'sh', '-c', hide, 'sh'];
  const { status } = await runCommand('unshare', [...hidden.slice(1), 'true']);
  if (status !== 0) return context.skip('a mount namespace cannot be made here');
  const found = await through(hidden, ['vg/before', target]);
  assertReadable(found, REFUSED, /program lvs is not there\n {2}install it.*apt install lvm2/);
  const { stdout, status: sick } = await through(hidden, ['doctor']);
  assert.equal(sick, REFUSED);
  assert.match(stdout.toString(), /FAIL {2}lvm: .*; mend it: apt install lvm2\n/);
});

test('a target that is mounted', async (context) => {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  const device = mounts
    .map((line) => line.split(' ')[0]!)
    .find((path) => existsSync(path) && path.startsWith('/dev/'));
  if (!isRoot || device === undefined) return context.skip('no mounted block device here');
  await isTold(['-n', 'copy', store, device], REFUSED, [/is mounted on .*\n.*unmount it/]);
});
