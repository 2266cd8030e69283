import assert from 'node:assert/strict';
import { chmodSync, existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { lvmsync } from '../support/lvmsync.js';
import { lvmsyncPath } from '../support/repository.js';
import { startSshd, type TestSshd } from '../support/sshd.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();
const path = (name: string) => join(directory, name);
const target = path('target');
writeFileSync(target, Buffer.alloc(4 << 20, 1));

let sshd: TestSshd;
before(async () => {
  sshd = await startSshd();
});
after(() => sshd.stop());

/** For `-e`: runs what follows the host through sh, with this as its `lvmsync`. */
function rsh(name: string, body: string): string {
  const script = path(name);
  writeFileSync(script, `#!/bin/sh\nshift\n${body}\neval "$*"\n`);
  chmodSync(script, 0o755);
  return script;
}

const ours = `lvmsync() { '${process.execPath}' '${lvmsyncPath}' "$@"; }`;

interface Finding {
  name: string;
  status: string;
  text: string;
  mend?: string;
}

interface Report {
  format: number;
  well: boolean;
  here: { findings: Finding[]; rates: { cipher: number; read?: number } };
  there?: { version: string; findings: Finding[]; rates: { read?: number } };
  link: Finding[];
  speed?: { roundTripMs: number; bytesPerSecond: number };
  perGib?: { seconds: number; slowest: string };
}

async function asked(...args: string[]): Promise<{ report: Report; status: number | null }> {
  const { stdout, stderr, status } = await lvmsync(['doctor', '--json', ...args]);
  assert.ok(status === 0 || status === 3, stderr);
  const report: Report = JSON.parse(stdout.toString());
  assert.equal(report.format, 1);
  assert.equal(status, report.well ? 0 : 3);
  const all = [...report.here.findings, ...report.link, ...(report.there?.findings ?? [])];
  assert.equal(
    report.well,
    all.every((finding) => finding.status !== 'failure'),
  );
  return { report, status };
}

const named = (findings: readonly Finding[] | undefined, name: string) =>
  findings?.find((finding) => finding.name === name);

test('without a host this machine is looked over', async () => {
  const { report } = await asked();
  for (const name of ['lvmsync', 'privileges', 'lvm', 'device-mapper', 'engine', 'cipher']) {
    assert.ok(named(report.here.findings, name), name);
  }
  assert.ok(report.here.rates.cipher > 1e6);
  assert.equal(report.there, undefined);
});

test('with a host and a target both ends and the link are looked over, and nothing is written', async () => {
  const before = statSync(target);
  const where = `${sshd.alias}:${target}`;
  const { report } = await asked('--ssh-config', sshd.configFile, '--source', target, where);
  assert.match(named(report.link, 'connection')?.text ?? '', /aes128-gcm.*native engine/);
  assert.match(named(report.there?.findings, 'target')?.text ?? '', /a file of 4194304 bytes/);
  assert.ok((report.there?.rates.read ?? 0) > 0 && (report.here.rates.read ?? 0) > 0);
  const { roundTripMs, bytesPerSecond } = report.speed!;
  assert.ok(roundTripMs > 0 && bytesPerSecond > 0);
  const rates = [bytesPerSecond, report.there!.rates.read!, report.here.rates.read!];
  assert.equal(report.perGib?.seconds, 2 ** 30 / Math.min(...rates));
  assert.equal(statSync(target).mtimeMs, before.mtimeMs);
});

test('what is wrong with the target is said before a run', async () => {
  for (const [bad, reason] of [
    [directory, /is a directory/],
    [path('missing'), /does not exist/],
  ] as const) {
    const { report, status } = await asked('-e', rsh('ours', ours), `host:${bad}`);
    assert.equal(status, 3);
    assert.match(named(report.there?.findings, 'target')?.text ?? '', reason);
  }
  assert.ok(!existsSync(path('missing')));
});

test('each failing line ends with what mends it', async () => {
  const { stdout, status } = await lvmsync(['doctor', path('missing')], { env: { PATH: '/none' } });
  assert.equal(status, 3);
  const failing = stdout.toString().match(/^ {2}FAIL.*$/gm) ?? [];
  assert.ok(failing.length >= 1);
  for (const line of failing) assert.match(line, /; mend it: \S+/);
});

const NO_LVMSYNC: Record<string, [body: string, text: RegExp]> = {
  'has none': ['lvmsync() { return 127; }', /not found there/],
  'has the classic one': [
    'lvmsync() { case "$1" in --version) echo lvmsync 3.3.2;; *) echo "No!" >&2; return 1;; esac; }',
    /lvmsync 3\.3\.2 there is the classic one, or too old/,
  ],
  'has something else': ['lvmsync() { echo hello; }', /no proper JSON/],
};

for (const [what, [body, text]] of Object.entries(NO_LVMSYNC)) {
  test(`when the host ${what} then that fails, with what to install`, async () => {
    const { report, status } = await asked('-e', rsh('other', body), `host:${target}`);
    assert.equal(status, 3);
    const found = named(report.link, 'lvmsync');
    assert.equal(found?.status, 'failure');
    assert.match(found?.text ?? '', text);
    assert.match(found?.mend ?? '', /npm install -g lvmsync$/);
  });
}

test('when the host cannot be reached then that is a finding', async () => {
  const { report } = await asked('-e', '/no/such/command', 'host');
  assert.match(named(report.link, 'connection')?.text ?? '', /no such command/);
});

test('when a forced command answers no questions then that is no failure', async () => {
  const serve = `lvmsync() { SSH_ORIGINAL_COMMAND="lvmsync $*" '${process.execPath}' '${lvmsyncPath}' serve --target data=/x; }`;
  const { report } = await asked('-e', rsh('serve', serve), 'host');
  const found = named(report.link, 'lvmsync');
  assert.equal(found?.status, 'warning');
  assert.match(found?.text ?? '', /forced command/);
});

test('what a hostile host reports moves no cursor and takes no memory', async () => {
  const finding = { name: 'x\x1b[2J', status: 'ok', text: `a\nb${'y'.repeat(2000)}` };
  writeFileSync(
    path('answer'),
    `${JSON.stringify({ version: '1\r', findings: [finding], rates: { read: -1 } })}\n`,
  );
  const body = `lvmsync() { cat '${path('answer')}'; for i in 1 2 3 4 5; do head -c 1; done; cat >/dev/null; echo '{}'; }`;
  const { report } = await asked('-e', rsh('hostile', body), 'host');
  assert.deepEqual(report.there?.findings[0]?.name, 'x [2J');
  assert.equal(report.there?.findings[0]?.text.length, 400);
  assert.deepEqual(report.there?.rates, {});
  assert.equal(report.there?.version, '1 ');
  for (const answer of [
    '{"findings":',
    '[]',
    '{"version":"1","findings":[1]}',
    'x'.repeat(1 << 20),
  ]) {
    writeFileSync(path('answer'), `${answer}\n`);
    const { report: damaged, status } = await asked('-e', rsh('hostile', body), 'host');
    assert.equal(status, 3);
    assert.equal(damaged.there, undefined);
  }
});
