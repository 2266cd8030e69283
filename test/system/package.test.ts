/** The package as `npm pack` makes it, installed without a network and without any script. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { after, before, test } from 'node:test';
import { mustRun, runCommand } from '../support/command.js';
import { createDelta, type Delta } from '../support/delta.js';
import { fetchNode, NODE_VERSIONS } from '../support/newer-node.js';
import { prebuilds } from '../support/prebuilds.js';
import { repositoryRoot } from '../support/repository.js';
import { startSshd, type TestSshd } from '../support/sshd.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const MiB = 1 << 20;
const MAX_PACKAGE_BYTES = 3 * MiB;
const MAX_DEPENDENCIES = 12;
const OLDEST_GLIBC = [2, 28] as const;

const directory = temporaryDirectory();
const path = (name: string) => join(directory, name);

interface PackReport {
  filename: string;
  size: number;
  files: { path: string }[];
}

let report: PackReport;
let delta: Delta;
let sshd: TestSshd;
/** The program as it is installed. */
const lvmsync = path('prefix/bin/lvmsync');

before(async () => {
  await prebuilds('x64', 'arm64');
  delta = createDelta(directory, 11, 8 * MiB);
  report = await pack();
  await install(path(report.filename));
  sshd = await startSshd({ path: [path('prefix/bin')] });
});
after(() => sshd?.stop());

/** Packs a copy of this checkout, since packing builds everything anew. */
async function pack(): Promise<PackReport> {
  const copy = path('checkout');
  const leftOut = /^(node_modules|build|dist|dist-test|\.git)(\/|$)/;
  cpSync(repositoryRoot, copy, {
    recursive: true,
    preserveTimestamps: true,
    filter: (from) => !leftOut.test(relative(repositoryRoot, from)),
  });
  symlinkSync(join(repositoryRoot, 'node_modules'), join(copy, 'node_modules'));
  // Of an earlier build: must not go along.
  mkdirSync(join(copy, 'dist'));
  writeFileSync(join(copy, 'dist', 'stale.js'), '');
  const args = ['pack', '--json', '--silent', '--pack-destination', directory];
  const output = await mustRun('npm', args, { cwd: copy, timeoutMs: 600_000 });
  const [packed] = JSON.parse(output.slice(output.indexOf('[\n'))) as PackReport[];
  assert.ok(packed !== undefined);
  return packed;
}

async function install(tarball: string): Promise<void> {
  const options = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
  await mustRun('npm', ['install', '--global', '--prefix', path('prefix'), ...options, tarball], {
    timeoutMs: 600_000,
  });
}

async function run(node: string, args: string[], env: Record<string, string> = {}) {
  // The receiver's Node is the one in its PATH.
  const result = await runCommand(node, [lvmsync, ...args], { env });
  assert.equal(result.status, 0, result.stderr);
  return result.stderr;
}

test('when it is packed then it is small and holds what is needed and nothing else', () => {
  assert.ok(report.size <= MAX_PACKAGE_BYTES, `${report.size} bytes`);
  const files = report.files.map((file) => file.path);
  const needed = [
    'bin/lvmsync',
    'bin/load.cjs',
    'dist/bundle/lvmsync.cjs',
    'dist/bundle/ssh2.cjs',
    'dist/bundle/licenses.txt',
    'dist/standalone/lvmsync.cjs',
    'dist/index.d.ts',
    'dist/man/lvmsync.1',
    'dist/man/lvmsync-copy.1',
    'dist/completions/bash/lvmsync',
    'dist/completions/zsh/_lvmsync',
    'dist/completions/fish/lvmsync.fish',
    'docs/security.md',
    'contrib/systemd/lvmsync-replicate@.timer',
    'native/addon.cc',
    'prebuilds/linux-x64/lvmsync.glibc.node',
    'prebuilds/linux-arm64/lvmsync.glibc.node',
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
  ];
  for (const file of needed) assert.ok(files.includes(file), `${file} is missing`);
  const wanted =
    /^(bin\/\w+(\.c?js(on)?)?|dist\/[\w/.-]+|docs\/[\w-]+\.(md|svg)|native\/\w+\.(cc|h)|prebuilds\/linux-(x64|arm64)\/lvmsync\.glibc\.node|contrib\/systemd\/[\w@.-]+|binding\.gyp|package\.json|CHANGELOG\.md|LICENSE|README\.md)$/;
  const odd = files.filter((file) => !wanted.test(file) || /tsbuildinfo|stale|\.cache$/.test(file));
  assert.deepEqual(odd, []);
});

test('when its package.json is read then it wants few packages and no script of its own', () => {
  const text = readFileSync(path('prefix/lib/node_modules/lvmsync/package.json'), 'utf8');
  const { dependencies, scripts, gypfile } = JSON.parse(text);
  assert.ok(Object.keys(dependencies).length <= MAX_DEPENDENCIES);
  for (const name of ['preinstall', 'install', 'postinstall', 'prebuild']) {
    assert.equal(scripts[name], undefined);
  }
  assert.equal(gypfile, false); // or npm would run node-gyp for binding.gyp
});

test('when it is installed then man finds its pages', () => {
  for (const page of ['lvmsync.1', 'lvmsync-copy.1']) {
    assert.ok(existsSync(path(`prefix/share/man/man1/${page}`)), page);
  }
});

async function nodeOf(line: string, version: string): Promise<string> {
  const isOurs = process.versions.node.startsWith(`${line}.`);
  return isOurs ? process.execPath : fetchNode(version);
}

for (const [line, version] of Object.entries(NODE_VERSIONS)) {
  test(`when Node is ${line} then it sends changes with the addon that it brings, here and by ssh2`, async () => {
    const node = await nodeOf(line, version);
    const shown = await runCommand(node, [lvmsync, '--version']);
    assert.match(shown.stdout.toString(), /^\d+\.\d+\.\d+\n$/);
    const target = delta.target('target');
    const said = await run(node, ['-v', '--engine', 'native', ...delta.source, target]);
    assert.match(said, /^engine: native/m);
    assert.ok(delta.holds(target, delta.after));
    // Over SSH: the addon does what ssh2 does slowly without its own.
    delta.target('target');
    const options = ['-v', '--ssh-config', sshd.configFile];
    const saidThere = await run(node, [...options, ...delta.source, `${sshd.alias}:${target}`]);
    assert.match(saidThere, /aes128-gcm.*encrypted by the native engine/);
    assert.ok(delta.holds(target, delta.after));
  });
}

/** Buffers that nobody has given back are collected first: V8's account of memory may not suffer. */
const GIVE_BACK = `
  const { allocate, release } = require(process.argv[1]);
  (() => { for (let i = 0; i < 6; i++) allocate(4 << 20); })();
  const kept = [allocate(4 << 20), allocate(4 << 20)];
  gc();
  kept.forEach(release);
  setImmediate(() => console.log('given back'));
`;

for (const [line, version] of Object.entries(NODE_VERSIONS)) {
  test(`when Node is ${line} then buffers can be given back whatever has been collected`, async () => {
    const node = await nodeOf(line, version);
    const prebuild = `prebuilds/linux-${process.arch}/lvmsync.glibc.node`;
    const addon = path(`prefix/lib/node_modules/lvmsync/${prebuild}`);
    const said = await mustRun(node, ['--expose-gc', '-e', GIVE_BACK, addon]);
    assert.equal(said.trim(), 'given back');
  });
}

test('when no addon fits then the js engine works and that is said', async () => {
  const target = delta.target('target');
  const args = ['-v', ...delta.source, target];
  const said = await run(process.execPath, args, { LIBC: 'musl' });
  assert.match(
    said,
    /^engine: js \(the native engine is not available: No native build was found/m,
  );
  assert.ok(delta.holds(target, delta.after));
});

for (const [architecture, machine] of [
  ['x64', /X86-64/],
  ['arm64', /AArch64/],
] as const) {
  test(`when the addon for ${architecture} is looked at then an old glibc suffices and no libstdc++ is wanted`, async () => {
    const addon = path(
      `prefix/lib/node_modules/lvmsync/prebuilds/linux-${architecture}/lvmsync.glibc.node`,
    );
    const args = ['--wide', '--file-header', '--dynamic', '--version-info', addon];
    const text = await mustRun('readelf', args);
    assert.match(text, machine);
    assert.doesNotMatch(text, /GLIBCXX|CXXABI|libstdc/);
    const versions = [...text.matchAll(/\bGLIBC_(\d+)\.(\d+)/g)].map(([, ...v]) => v.map(Number));
    assert.ok(versions.length > 0);
    for (const [major = 0, minor = 0] of versions) {
      assert.ok(major === OLDEST_GLIBC[0] && minor <= OLDEST_GLIBC[1], `GLIBC_${major}.${minor}`);
    }
  });
}

const libraries = '/usr/aarch64-linux-gnu';
const arm64 = process.arch === 'arm64' || existsSync(libraries);
test(
  'when the machine is arm64 then it sends changes with the addon that it brings',
  arm64 ? {} : { skip: 'qemu-user or the libraries for arm64 are not installed' },
  async () => {
    const node = await fetchNode(NODE_VERSIONS[20], 'arm64');
    const emulated = process.arch === 'arm64' ? [] : ['qemu-aarch64', '-L', libraries];
    const [program = '', ...words] = [...emulated, node];
    const target = delta.target('target');
    for (const args of [
      ['-v', '--engine', 'native', ...delta.source, target],
      // With checksums, zeroes and hashes.
      ['verify', '-v', '--engine', 'native', path('origin'), target],
    ]) {
      const result = await runCommand(program, [...words, lvmsync, ...args]);
      assert.equal(result.status, 0, result.stderr);
      assert.match(result.stderr, /^engine: native/m);
    }
    assert.ok(delta.holds(target, delta.after));
  },
);
