import assert from 'node:assert/strict';
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommand } from '../support/command.js';
import { repositoryRoot } from '../support/repository.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const UNITS = join(repositoryRoot, 'contrib', 'systemd');

/** What systemd-analyze says of the units, one instance of each. */
async function verify(directory: string) {
  const instances = readdirSync(UNITS).map((name) => join(directory, name.replace('@.', '@vm.')));
  const { status, stdout, stderr } = await runCommand('systemd-analyze', [
    ...['verify', '--man=no'],
    ...instances,
  ]);
  return { status, words: `${stdout}${stderr}` };
}

/** The units, with the program where this checkout has it. */
function copyUnits(change: (text: string) => string): string {
  const directory = temporaryDirectory();
  for (const name of readdirSync(UNITS)) {
    const copy = join(directory, name);
    copyFileSync(join(UNITS, name), copy);
    const text = readFileSync(copy, 'utf8');
    const program = join(repositoryRoot, 'bin', 'lvmsync');
    writeFileSync(copy, change(text.replace('ExecStart=lvmsync ', `ExecStart=${program} `)));
  }
  return directory;
}

test('when the systemd units are verified then nothing is said against them', async () => {
  assert.deepEqual(readdirSync(UNITS).sort(), [
    'lvmsync-replicate@.service',
    'lvmsync-replicate@.timer',
  ]);
  assert.deepEqual(await verify(copyUnits((text) => text)), { status: 0, words: '' });
});

test('when a unit has a setting that systemd does not know then that is said', async () => {
  const { words } = await verify(copyUnits((text) => text.replace('Type=oneshot', 'Tpye=oneshot')));
  assert.match(words, /Tpye/);
});
