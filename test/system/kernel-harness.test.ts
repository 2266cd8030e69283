import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../support/command.js';

const fixture = fileURLToPath(new URL('../support/kernel-fixture.js', import.meta.url));
const skip = process.getuid?.() === 0 ? false : 'the kernel rig needs root';

/** Runs one case of the fixture; resolves its TAP report. */
async function runCase(
  name: string,
): Promise<{ status: number | null; lines: string[]; text: string }> {
  const result = await runCommand(process.execPath, ['--test-reporter=tap', fixture], {
    env: { LVMSYNC_TEST_CASE: name, NODE_TEST_CONTEXT: undefined },
  });
  const text = `${result.stdout}${result.stderr}`;
  return { status: result.status, lines: text.split('\n'), text };
}

/** The report's results, as `ok name` and `not ok name`, and its count of passes and failures. */
function outcome(lines: string[]): string[] {
  const results = lines
    .filter((line) => /^(not )?ok /.test(line))
    .map((line) => line.replace(/^((?:not )?ok) \d+ - /, '$1 '));
  return [...results, ...lines.filter((line) => /^# (pass|fail) /.test(line))];
}

test('when guest tests pass, fail and are skipped then the host reports the same', {
  skip,
}, async () => {
  const { status, lines, text } = await runCase('mixed');
  assert.equal(status, 1);
  assert.deepEqual(outcome(lines), [
    'ok passes',
    'not ok fails',
    'ok is skipped # SKIP for a reason',
    '# pass 1',
    '# fail 1',
  ]);
  assert.match(text, /one is not two/);
});

test('when the guest dies then its test fails with the kernel log, and so does the next', {
  skip,
}, async () => {
  const { status, lines, text } = await runCase('guest dies');
  assert.equal(status, 1);
  assert.deepEqual(outcome(lines), [
    'ok before',
    'not ok during',
    'not ok after',
    '# pass 1',
    '# fail 2',
  ]);
  assert.match(text, /Kernel panic/);
  assert.match(text, /listed, but never run/);
});

test('when the test process ends early then what it had left fails', { skip }, async () => {
  const { status, lines } = await runCase('node ends');
  assert.equal(status, 1);
  assert.equal(outcome(lines).includes('not ok after'), true);
  assert.equal(outcome(lines).includes('ok during'), false);
});

test('when the guest has no test, or one that is not counted, then that fails', {
  skip,
}, async () => {
  const check = async (name: string) => {
    const { status, lines, text } = await runCase(name);
    assert.equal(status, 1, `${name}\n${text}`);
    assert.equal(outcome(lines).at(-1), '# fail 1', `${name}\n${text}`);
  };
  await Promise.all(['no tests', 'one name for two', 'suite', 'bad end'].map(check));
});
