/** The Debian package: built, looked at by lintian, installed into an empty root, run, removed. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { mustRun, runCommand } from '../support/command.js';
import { createDelta, type Delta } from '../support/delta.js';
import { repositoryRoot } from '../support/repository.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();
const path = (name: string) => join(directory, name);
const root = path('root');
const dpkg = (...args: string[]) =>
  mustRun('dpkg', [`--root=${root}`, '--force-depends', `--log=${path('log')}`, ...args]);

const isDebian = existsSync('/usr/bin/dpkg-deb');
const possible = isDebian ? {} : { skip: 'this is not Debian' };
const asRoot = isDebian && process.getuid?.() === 0 ? {} : { skip: 'dpkg needs Debian and root' };

let delta: Delta;
let deb: string;
before(async () => {
  delta = createDelta(directory, 12, 4 << 20);
  if (isDebian) deb = await build(process.arch);
});

async function build(architecture: string): Promise<string> {
  const output = await mustRun(
    join(repositoryRoot, 'scripts', 'package-deb'),
    ['--out', directory, architecture],
    { env: { DEBFULLNAME: 'A Packager', DEBEMAIL: 'packager@debian.org' }, timeoutMs: 600_000 },
  );
  return output.split('\n').at(-1) ?? '';
}

test('when lintian looks at the packages then it finds no error', possible, async (t) => {
  if (!existsSync('/usr/bin/lintian')) return t.skip('lintian is not installed');
  for (const file of [await build('x64'), await build('arm64')]) {
    const { status, stdout } = await runCommand('lintian', ['--fail-on', 'error', file], {
      timeoutMs: 600_000,
    });
    assert.equal(status, 0, stdout.toString());
  }
});

test('when it is built twice then it is the same', possible, async () => {
  const first = readFileSync(deb);
  assert.ok(readFileSync(await build(process.arch)).equals(first));
});

test(
  'when it is installed then the program, its pages and its completions work',
  asRoot,
  async () => {
    mkdirSync(join(root, 'var/lib/dpkg/updates'), { recursive: true });
    mkdirSync(join(root, 'var/lib/dpkg/info'));
    writeFileSync(join(root, 'var/lib/dpkg/status'), '');
    await dpkg('--install', deb);

    const program = join(root, 'usr/bin/lvmsync');
    assert.ok(statSync(program).mode & 0o111);
    assert.equal(readFileSync(program, 'utf8').split('\n')[0], '#!/usr/bin/node');
    const { version } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8'));
    assert.equal(await mustRun(process.execPath, [program, '--version']), version);
    const target = delta.target('target');
    const args = [program, '-v', '--engine', 'native', ...delta.source, target];
    const { status, stderr } = await runCommand(process.execPath, args);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^engine: native/m);
    assert.ok(delta.holds(target, delta.after));

    const page = join(root, 'usr/share/man/man1/lvmsync-copy.1.gz');
    assert.match(gunzipSync(readFileSync(page)).toString(), /^\.TH LVMSYNC-COPY 1/m);
    for (const file of [
      'usr/share/bash-completion/completions/lvmsync',
      'usr/share/zsh/vendor-completions/_lvmsync',
      'usr/share/fish/vendor_completions.d/lvmsync.fish',
      'lib/systemd/system/lvmsync-replicate@.service',
      'lib/systemd/system/lvmsync-replicate@.timer',
      'usr/share/doc/lvmsync/copyright',
      'usr/share/doc/lvmsync/changelog.gz',
      'usr/share/doc/lvmsync/changelog.Debian.gz',
      'usr/share/doc/lvmsync/docs/security.md',
    ]) {
      assert.ok(existsSync(join(root, file)), file);
    }

    await dpkg('--purge', 'lvmsync');
    assert.ok(!existsSync(join(root, 'usr/lib/lvmsync')));
    assert.ok(!existsSync(program));
  },
);
