import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { seededBytes } from '../support/devices.js';
import { lvmsync, lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { encodeEnd, encodeHello, encodeRecord, LABEL, TYPE } from '../support/proto4.js';
import { repositoryRoot } from '../support/repository.js';
import { startSshd, type TestSshd } from '../support/sshd.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const MIB = 1 << 20;
const USAGE = 2;
const TRANSPORT = 4;
const REMOTE = 5;
const INTEGRITY = 7;

const directory = temporaryDirectory();
process.env.LVMSYNC_STATE_DIR = join(directory, 'state');
const path = (name: string) => join(directory, name);
const content = seededBytes(1, 1, 16 * MIB + 700);
const source = path('source');
writeFileSync(source, content);

let sshd: TestSshd;
before(async () => {
  sshd = await startSshd();
});
after(() => sshd.stop());

function target(name: string, bytes = content.length): string {
  writeFileSync(path(name), Buffer.alloc(bytes, 0x5a));
  return path(name);
}

interface Meddling {
  /** Only so many connections are meddled with; all unless said. */
  times?: number;
  /** What the sender writes behind so many bytes is lost, and the connection with it. */
  cutBytes?: number;
  /** Takes the place of the record by which the sender confirms. */
  lastRecord?: Buffer;
  /** Takes the place of the sender's exit status. */
  status?: number;
}

/** For `-e`: runs the sender on this machine, and meddles with what it writes. */
function meddlingRsh(
  name: string,
  { times = 1e9, cutBytes = 1e12, lastRecord, status }: Meddling,
): string {
  const program = path(`${name}.cjs`);
  writeFileSync(
    program,
    `#!${process.execPath}
    const { spawn } = require('node:child_process');
    const { existsSync, readFileSync, writeFileSync } = require('node:fs');
    const count = '${program}.count';
    const used = existsSync(count) ? Number(readFileSync(count, 'utf8')) : 0;
    writeFileSync(count, String(used + 1));
    const meddles = used < ${times};
    const env = { ...process.env, PATH: '${repositoryRoot}/bin:' + process.env.PATH };
    const far = spawn('sh', ['-c', 'exec ' + process.argv.slice(3).join(' ')], {
      stdio: ['inherit', 'pipe', 'inherit'], env });
    let left = meddles ? ${cutBytes} : Infinity;
    far.stdout.on('data', (chunk) => {
      if (left <= 0) return;
      // The word that the receiver waits for, alone: it comes after the receipt.
      const isLast = chunk.length === 32 && chunk[0] === ${TYPE.confirm};
      const bytes = isLast && ${lastRecord !== undefined} ? Buffer.from('${lastRecord?.toString('hex')}', 'hex') : chunk;
      process.stdout.write(bytes.subarray(0, Math.min(left, bytes.length)));
      left -= chunk.length;
      if (left <= 0) far.kill('SIGKILL');
    });
    far.on('close', (code) => {
      process.stdout.write('', () => process.exit(left <= 0 ? 255 : ${status ?? '(code ?? 255)'}));
    });`,
  );
  chmodSync(program, 0o755);
  return program;
}

test('when a copy from another host is limited then the sender there keeps to it', async () => {
  const args = ['--ssh-config', sshd.configFile, `${sshd.alias}:${source}`, target('limited')];
  const startedAt = performance.now();
  await lvmsyncOk(['copy', '--bwlimit', '8M', ...args]);
  const seconds = (performance.now() - startedAt) / 1000;
  assert.ok(seconds > 1.8, `16 MiB took ${seconds} s`);
  assert.ok(readFileSync(path('limited')).equals(content));
});

test('when the connection breaks then a new sender compares what an earlier one sent, and goes on', async () => {
  const copy = target('broken');
  const rsh = meddlingRsh('breaking', { times: 2, cutBytes: 7 * MIB });
  const { stderr } = await lvmsyncOk(['copy', '-v', '-e', rsh, `host:${source}`, copy]);
  assert.match(stderr, /trying again in 2 s \(2 of 5\)/);
  const [, earlier, differing] =
    /resuming at offset \d+: of (\d+) bytes that an earlier run sent, (\d+) differ/.exec(stderr) ??
    [];
  assert.ok(Number(earlier) > 0, stderr);
  assert.equal(Number(differing), 0);
  assert.ok(readFileSync(copy).equals(content));
});

test('when a run was cut and the source has changed since then the next one brings what it holds now', async () => {
  const copy = target('cut');
  const changing = path('changing');
  writeFileSync(changing, content);
  const rsh = meddlingRsh('cutting', { times: 1, cutBytes: 7 * MIB });
  const args = ['copy', '-v', '-e', rsh, `host:${changing}`, copy];
  await lvmsyncFails(
    [...args, '--retries', '0'],
    TRANSPORT,
    /could not connect, or lost|ended before/,
  );
  const changed = Buffer.from(content);
  changed.write('written since', 1 * MIB);
  writeFileSync(changing, changed);
  const { stderr } = await lvmsyncOk(args);
  assert.match(stderr, /resuming at offset \d+/);
  assert.ok(readFileSync(copy).equals(changed));
});

test('when the sender finds that its source has changed then that is the failure here, once', async () => {
  const refusal = { code: 'SNAPSHOT_CHANGED', message: 'vg/snap: 3 more chunks', hint: 'again' };
  const lastRecord = encodeRecord(TYPE.refuse, [], Buffer.from(JSON.stringify(refusal)));
  const rsh = meddlingRsh('changed', { lastRecord, status: INTEGRITY });
  const args = ['copy', '-e', rsh, `host:${source}`, target('changed')];
  const { stderr } = await lvmsyncFails(
    args,
    INTEGRITY,
    /host: vg\/snap: 3 more chunks\n {2}again/,
  );
  assert.equal(stderr.match(/3 more chunks/g)?.length, 1, stderr);
  assert.doesNotMatch(stderr, /exit status/);
});

test('when the sender does not confirm what it sent then that is no success, whatever it ends with', async () => {
  const rsh = meddlingRsh('silent', { lastRecord: Buffer.alloc(0), status: 0 });
  const args = ['copy', '--retries', '0', '-e', rsh, `host:${source}`, target('silent')];
  await lvmsyncFails(args, TRANSPORT, /ended before it had confirmed what it sent/);
});

test('when the sender needs time before it says who it is then its signs of life are enough', async () => {
  const copy = target('patient', 65536);
  const alive = encodeRecord(TYPE.alive, []);
  const data = encodeRecord(TYPE.data, [[4096, 4096]], Buffer.alloc(4096, 'x'));
  const opening = [LABEL, alive, alive, alive, encodeHello(65536), alive, data, encodeEnd([data])];
  const said = path('said');
  const rsh = path('patient-rsh');
  writeFileSync(rsh, `#!/bin/sh\ncat ${said}\nexec cat > /dev/null\n`);
  chmodSync(rsh, 0o755);
  const args = ['copy', '--retries', '0', '-e', rsh, 'host:source', copy];
  writeFileSync(said, Buffer.concat([...opening, alive, encodeRecord(TYPE.confirm, [])]));
  await lvmsyncOk(args);
  const expected = Buffer.alloc(65536, 0x5a).fill('x', 4096, 8192);
  assert.ok(readFileSync(copy).equals(expected));
  writeFileSync(said, Buffer.concat([...opening, data]));
  await lvmsyncFails(args, INTEGRITY, /follows the receipt/);
});

test('when the sender ends badly in spite of its word then that is no success either', async () => {
  const rsh = meddlingRsh('bad-end', { status: 70 });
  const args = ['copy', '--retries', '0', '-e', rsh, `host:${source}`, target('bad-end')];
  await lvmsyncFails(args, REMOTE, /ended with exit status 70/);
});

test('when there is no such source there then its host says so, once, and nothing is written here', async () => {
  const copy = target('no-source');
  const there = ['--ssh-config', sshd.configFile, `${sshd.alias}:${path('missing')}`, copy];
  for (const command of [['copy'], ['verify'], ['verify', '--repair']]) {
    const { stderr } = await lvmsyncFails([...command, ...there], 3, /ssh receiver: there is no/);
    assert.equal(stderr.match(/there is no/g)?.length, 1, stderr);
  }
  assert.ok(readFileSync(copy).equals(Buffer.alloc(content.length, 0x5a)));
});

test('when it is only to be said what would be done then nothing is written here', async () => {
  const copy = target('dry');
  const there = ['-n', '-e', meddlingRsh('dry', {}), `host:${source}`];
  const { stderr } = await lvmsyncOk(['copy', ...there, copy]);
  assert.match(stderr, new RegExp(`at most ${content.length} bytes`));
  assert.match(stderr, /fit to be written\nNothing was changed/);
  const repair = await lvmsync(['verify', '--repair', ...there, copy]);
  assert.equal(repair.status, 1, repair.stderr);
  assert.ok(readFileSync(copy).equals(Buffer.alloc(content.length, 0x5a)));
  await lvmsyncFails(['copy', ...there, path('missing')], 3, /missing does not exist/);
});

test('when a refusal is of this end then it is told once too', async () => {
  const args = ['copy', '--ssh-config', sshd.configFile, `${sshd.alias}:${source}`];
  const { stderr } = await lvmsyncFails([...args, path('missing')], 3, /missing does not exist/);
  assert.equal(stderr.match(/FATAL ERROR/g)?.length, 1, stderr);
  assert.ok(!existsSync(path('missing')));
});

test('when lvmsync is not there, or one that cannot send on request, then that is said', async () => {
  const copy = target('not-there');
  const there = ['--ssh-config', sshd.configFile, `${sshd.alias}:${source}`, copy];
  const missing = ['--remote-command', '/nowhere/lvmsync'];
  await lvmsyncFails(['copy', ...missing, ...there], REMOTE, /was not found there/);
  const original = path('original');
  const words = "/usr/bin/lvmsync:9:in 'parse!': invalid option: --send-to-stdio (InvalidOption)";
  writeFileSync(original, `#!/bin/sh\necho "${words}" >&2\necho "	from x:1" >&2\nexit 1\n`);
  chmodSync(original, 0o755);
  for (const command of ['copy', 'pull', 'verify']) {
    const args = [command, '--remote-command', original, ...there];
    const { stderr } = await lvmsyncFails(
      args,
      REMOTE,
      /cannot send on request: it is an original/,
    );
    assert.doesNotMatch(stderr, /usr\/bin/, 'what it said is not for the user');
  }
  assert.ok(readFileSync(copy).equals(Buffer.alloc(content.length, 0x5a)));
});

test('when the host key is unknown then nothing is asked there', async () => {
  const config = path('unknown-host.conf');
  const known = readFileSync(sshd.configFile, 'utf8');
  writeFileSync(config, `UserKnownHostsFile /dev/null\nGlobalKnownHostsFile /dev/null\n${known}`);
  const args = ['copy', '--ssh-config', config, `${sshd.alias}:${source}`, target('unknown-host')];
  await lvmsyncFails(args, TRANSPORT, /its key is not in the known hosts/);
});

test('when the command line names no end on this machine, or no other host, then it is refused', async () => {
  const both = ['a:/dev/x', 'b:/dev/y'];
  for (const command of ['pull', 'copy', 'verify']) {
    await lvmsyncFails([command, ...both], USAGE, /both on other hosts/);
  }
  await lvmsyncFails(['pull', 'vg/snap', '/dev/y'], USAGE, /is on this machine/);
  const far = [`host:${source}`, target('usage')];
  await lvmsyncFails(['copy', '--streams', '2', ...far], USAGE, /for a target on another host/);
  const { stdout } = await lvmsync(['pull', '--help']);
  assert.doesNotMatch(stdout.toString(), /--channels|--streams|--data-channel/);
});
