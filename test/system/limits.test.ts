import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createDelta } from '../support/delta.js';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { lvmsyncPath } from '../support/repository.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();
process.env.LVMSYNC_STATE_DIR = join(directory, 'state');
const delta = createDelta(directory, 1, 12 << 20);
const { after, before, holds } = delta;

for (const engine of ['native', 'js']) {
  for (const limits of [
    ['--queue-depth', '1', '--buffer-memory', '9M'],
    ['--queue-depth', '1024', '--buffer-memory', '256m'],
  ]) {
    for (const protocol of ['3', '4']) {
      test(`when PROTO[${protocol}] runs with ${limits.join(' ')} on the ${engine} engine, then the target is new, and rolls back`, async () => {
        const id = `${engine}-${limits[1]}-${protocol}`;
        const target = delta.target(`t-${id}`);
        const undo = delta.path(`undo-${id}`);
        const options = ['--engine', engine, ...limits];
        const sending = [...options, '--protocol', protocol, '--snapback', undo];
        await lvmsyncOk([...delta.source, target, ...sending]);
        assert.ok(holds(target, after));
        await lvmsyncOk([...options, 'rollback', undo, target]);
        assert.ok(holds(target, before));
      });
    }
  }
}

test('when the receiver is remote, then it is told the limits, and only where some are given', async () => {
  const rsh = delta.path('rsh');
  writeFileSync(rsh, `#!/bin/sh\nshift\necho "$*" >> ${delta.path('told')}\nexec sh -c "$*"\n`);
  chmodSync(rsh, 0o755);
  for (const limits of [['--queue-depth', '5', '--buffer-memory', '16M'], []]) {
    const target = delta.target('t-remote');
    const remote = ['-e', rsh, '--remote-command', `${process.execPath} ${lvmsyncPath}`];
    await lvmsyncOk([...delta.source, ...remote, ...limits, `backup:${target}`]);
    assert.ok(holds(target, after));
  }
  const [limited, plain] = readFileSync(delta.path('told'), 'utf8').trim().split('\n');
  assert.match(limited ?? '', / --queue-depth 5 --buffer-memory 16777216 /);
  assert.match(plain ?? '', /--apply - (?!.*--queue-depth)(?!.*--buffer-memory)/);
});

test('when a limit is out of its range, then it is said which that is and nothing is touched', async () => {
  const target = delta.target('t-refused');
  const outOfRange = [
    ['--queue-depth', '0', /1 to 1024/],
    ['--queue-depth', '1e2', /1 to 1024/],
    ['--queue-depth', '1025', /1 to 1024/],
    ['--buffer-memory', '9215K', /9M to 256M/],
    ['--buffer-memory', '1G', /9M to 256M/],
    ['--buffer-memory', '8MB', /9M to 256M/],
  ] as const;
  for (const [option, value, range] of outOfRange) {
    await lvmsyncFails([...delta.source, target, option, value], 2, range);
    assert.ok(holds(target, before));
  }
});

test('when -v is given, then it says what the engine works with', async () => {
  const target = delta.target('t-verbose');
  const env = { ...process.env, LVMSYNC_IO: 'threads' };
  const { stderr } = await lvmsyncOk([...delta.source, target, '-v', '--engine', 'native'], {
    env,
  });
  assert.match(stderr, /engine: native \(threads\)/);
});
