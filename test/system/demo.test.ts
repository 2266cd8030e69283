import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommand } from '../support/command.js';
import { repositoryRoot } from '../support/repository.js';

/** Runs the demonstration; resolves all it printed once it has ended well. */
async function demo(...args: string[]): Promise<string> {
  const result = await runCommand(join(repositoryRoot, 'scripts', 'demo'), args);
  const output = `${result.stdout}${result.stderr}`;
  assert.equal(result.status, 0, output);
  assert.match(output, /^The two sides are identical\.$/m);
  assert.match(output, /differed before +[1-9]/);
  return output;
}

test('when the demo runs on files then it ends with two identical sides, and says it is on files', async () => {
  assert.match(await demo('--files'), /no LVM and no kernel snapshot takes part/);
});

const skip = process.getuid?.() === 0 ? false : 'the kernel rig needs root';
test('when the demo runs under its kernel then it ends with two identical sides', {
  skip,
}, async () => {
  assert.match(await demo(), /with device-mapper, booted as a process/);
});
