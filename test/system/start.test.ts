/** What a command loads before it does its work. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runCommand } from '../support/command.js';
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
    assert.ok(loaded.some((path) => path.includes('dist/bundle/')));
    assert.deepEqual(
      loaded.filter((path) => path.includes('/ssh2/')),
      [],
    );
  });

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
