/** What a command loads before it does its work, and the compiled code that it is loaded with. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { runCommand } from '../support/command.js';
import { dataChunk, storeBytesFor, writeStore } from '../support/cow-store.js';
import { canHaveSsh2Addon } from '../support/newer-node.js';
import { lvmsyncPath, repositoryRoot } from '../support/repository.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();

/** Runs a command line and lists the CommonJS modules that it has loaded. */
async function loadedBy(...args: string[]): Promise<string[]> {
  const listing = `
    process.argv.splice(1, 0, ${JSON.stringify(lvmsyncPath)});
    process.on('exit', () => process.stderr.write(Object.keys(require.cache).join('\\n')));
    require(${JSON.stringify(lvmsyncPath)});
  `;
  const { stderr } = await runCommand(process.execPath, ['-e', listing, '--', ...args]);
  return stderr.split('\n').filter((line) => line.startsWith('/'));
}

describe('only what a command needs is loaded', () => {
  test('when the version is asked for then nothing else is loaded', async () => {
    const loaded = await loadedBy('--version');
    const names = loaded.map((path) => path.slice(repositoryRoot.length + 1));
    assert.deepEqual(names.sort(), ['bin/lvmsync', 'package.json']);
  });

  test('when a receiver starts then ssh2 is not loaded', async () => {
    const loaded = await loadedBy('--apply', '/dev/null', `${directory}/none`);
    assert.ok(loaded.some((path) => path.endsWith('/bin/load.cjs')));
    assert.deepEqual(
      loaded.filter((path) => path.includes('/ssh2/')),
      [],
    );
  });

  test("when a small transfer stays on this machine then nothing of Node's that takes long is loaded", async () => {
    const [store, origin, target] = ['store', 'origin', 'target'].map((name) =>
      join(directory, name),
    );
    writeStore(store!, {
      chunkBytes: 4096,
      storeBytes: storeBytesFor(4096, 2),
      exceptions: [[3, dataChunk(4096, 0)]],
    });
    writeFileSync(origin!, Buffer.alloc(1 << 20).fill(7, 3 * 4096, 4 * 4096));
    writeFileSync(target!, Buffer.alloc(1 << 20));
    const listing = `
      process.on('exit', () => console.log(process.moduleLoadList.join('\\n')));
      process.argv.splice(1, 0, ${JSON.stringify(lvmsyncPath)});
      require(${JSON.stringify(lvmsyncPath)});
    `;
    const words = ['-q', '--engine', 'native', '--cow-device', store!, '--data-source', origin!];
    const { status, stdout, stderr } = await runCommand(process.execPath, [
      ...['-e', listing, '--'],
      ...[...words, target!],
    ]);
    assert.equal(status, 0, stderr);
    const loaded = stdout.toString().split('\n');
    assert.ok(loaded.includes('NativeModule timers/promises'));
    const late = new Set(['child_process', 'crypto', 'fs/promises', 'net', 'stream', 'tty']);
    assert.deepEqual(
      loaded.filter((name) => late.has(name.replace('NativeModule ', ''))),
      [],
    );
    assert.deepEqual(readFileSync(target!), readFileSync(origin!));
  });

  test('when ssh2 is loaded then nothing of HTTP is', async () => {
    const listing = `
      const { loadBundle } = require(${JSON.stringify(join(repositoryRoot, 'bin/load.cjs'))});
      for (const load of Object.values(loadBundle('ssh2').exports)) load();
      console.log(process.moduleLoadList.join('\\n'));
    `;
    const { stdout } = await runCommand(process.execPath, ['-e', listing]);
    const loaded = stdout.toString().split('\n');
    assert.ok(loaded.includes('NativeModule dns'));
    assert.deepEqual(
      loaded.filter((name) => / (https?|tls)$/.test(name)),
      [],
    );
  });

  for (const isThere of [true, false]) {
    test(`when ssh2's addon is ${isThere ? '' : 'not '}there then its WebAssembly is ${isThere ? 'not ' : ''}made`, async () => {
      const withoutAddon = `
        const Module = require('node:module');
        const resolve = Module._resolveFilename;
        Module._resolveFilename = (name, ...more) => {
          if (name.endsWith('sshcrypto.node')) throw new Error('there is none');
          return resolve(name, ...more);
        };`;
      const script = `
        ${isThere ? '' : withoutAddon}
        let made = false;
        const { instantiate } = WebAssembly;
        WebAssembly.instantiate = (...call) => {
          made = true;
          return instantiate(...call);
        };
        const { loadBundle } = require(${JSON.stringify(join(repositoryRoot, 'bin/load.cjs'))});
        const ciphers = loadBundle('ssh2').exports['ssh2/lib/protocol/crypto.js']();
        ciphers.init.then(() => console.log(ciphers.bindingAvailable, made));`;
      const { stdout } = await runCommand(process.execPath, ['-e', script]);
      assert.equal(
        stdout.toString(),
        isThere && canHaveSsh2Addon ? 'true false\n' : 'false true\n',
      );
    });
  }

  test('when help goes to a reader that has read enough then there is no complaint', async () => {
    const line = `"$0" "$1" --help | true; exit "\${PIPESTATUS[0]}"`;
    const { status, stderr } = await runCommand('bash', [
      '-c',
      line,
      process.execPath,
      lvmsyncPath,
    ]);
    assert.equal(status, 0);
    assert.equal(stderr, '');
  });
});

describe('the code that was compiled when the bundle was built', () => {
  const root = join(directory, 'installation');
  const bundle = join(root, 'dist/bundle/lvmsync.cjs');
  const cache = `${bundle}.cache`;
  const made = readFileSync(join(repositoryRoot, 'dist/bundle/lvmsync.cjs.cache'));
  const head = made.subarray(0, made.indexOf('\n') + 1);

  /** Copies what is needed to start. */
  function install(): void {
    rmSync(root, { recursive: true, force: true });
    for (const part of ['bin', 'dist/bundle', 'package.json']) {
      cpSync(join(repositoryRoot, part), join(root, part), { recursive: true });
    }
    symlinkSync(join(repositoryRoot, 'node_modules'), join(root, 'node_modules'));
  }

  /** What is said to a command line without words, and which bundles' code V8 took. */
  async function start(): Promise<{ said: string; taken: string[] }> {
    const asked = `
      const { loadBundle } = require(${JSON.stringify(join(root, 'bin/load.cjs'))});
      for (const name of ['lvmsync', 'ssh2']) {
        if (loadBundle(name).script.cachedDataRejected === false) console.log(name);
      }
      loadBundle('lvmsync').exports.main([]);
    `;
    const { stdout, stderr } = await runCommand(process.execPath, ['-e', asked]);
    return { said: stderr, taken: stdout.toString().split('\n').filter(Boolean) };
  }

  test('when this Node has built it then it is taken', async () => {
    install();
    const builtBy = head.toString().split(' ')[2];
    const { said, taken } = await start();
    assert.match(said, /no snapshot given/);
    const all = builtBy === process.version ? ['lvmsync', 'ssh2'] : [];
    assert.deepEqual(taken, all, `built by ${builtBy}`);
  });

  test('when the bundle is another one of the same length then it is not taken', async () => {
    install();
    const text = readFileSync(bundle, 'utf8');
    const other = text
      .replace('no snapshot given, for', 'No Snapshot Given, for')
      .replace(/^\/\/ ./, (start) => (start === '// 0' ? '// 1' : '// 0'));
    assert.equal(other.length, text.length);
    writeFileSync(bundle, other);
    const { said, taken } = await start();
    assert.match(said, /No Snapshot Given/);
    assert.ok(!taken.includes('lvmsync'));
  });

  for (const [what, change] of [
    ['there is none', () => rmSync(cache)],
    ['V8 does not know it', () => writeFileSync(cache, Buffer.concat([head, Buffer.alloc(1000)]))],
    ['it is cut short', () => writeFileSync(cache, made.subarray(0, made.length - 1000))],
  ] as const) {
    test(`when ${what} then the source is compiled, and nothing is said`, async () => {
      install();
      change();
      const { said, taken } = await start();
      assert.match(said, /^FATAL ERROR: no snapshot given/);
      assert.ok(!taken.includes('lvmsync'));
    });
  }
});
