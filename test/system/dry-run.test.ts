import assert from 'node:assert/strict';
import {
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createDelta } from '../support/delta.js';
import { lvmsync, lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { startSshd, type TestSshd } from '../support/sshd.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();
const stateDirectory = join(directory, 'state');
process.env.LVMSYNC_STATE_DIR = stateDirectory;
const delta = createDelta(directory, 1, 4 << 20);
const NOTHING = /Nothing was changed \(--dry-run\)$/m;

let sshd: TestSshd;
before(async () => {
  sshd = await startSshd();
});
after(() => sshd.stop());

const WAYS: Record<string, (target: string) => string[]> = {
  'on this machine': (target) => [target],
  'over SSH': (target) => ['--ssh-config', sshd.configFile, `${sshd.alias}:${target}`],
};

/** The file, its times included. */
function traceOf(path: string): string {
  const { mtimeMs, ctimeMs } = statSync(path);
  return `${mtimeMs} ${ctimeMs} ${readFileSync(path).toString('base64')}`;
}

/** Runs it, and sees that the file stays as it is and that no state is left. */
async function changesNothing(target: string, args: readonly string[], status = 0) {
  const trace = traceOf(target);
  const result = await lvmsync(args);
  assert.equal(result.status, status, result.stderr);
  assert.equal(traceOf(target), trace);
  assert.deepEqual(existsSync(stateDirectory) ? readdirSync(stateDirectory) : [], []);
  return result.stderr;
}

for (const [way, words] of Object.entries(WAYS)) {
  describe(`--dry-run ${way}`, () => {
    test('of changes looks at the target, compares the base and says what would be sent', async () => {
      const target = delta.target('target');
      const undo = delta.path('undo');
      const args = [...delta.source, ...words(target), '--snapback', undo];
      const said = await changesNothing(target, ['-n', ...args]);
      assert.match(said, new RegExp(`^Would send at most ${delta.changedBytes} bytes`));
      assert.match(said, /a file of 4194304 bytes, fit to be written; lvmsync \d/);
      assert.match(said, /base: the target holds what the changes were made to \(sample\)/);
      assert.match(said, NOTHING);
      assert.ok(said.includes(undo) && !existsSync(undo));
      const there = `runs there: lvmsync --apply - --snapback ${undo} --protocol 4`;
      assert.equal(said.includes(there), way === 'over SSH');
    });

    test('refuses what a run would refuse', async () => {
      const target = delta.target('target');
      writeFileSync(target, Buffer.alloc(4 << 20, 7));
      const args = ['-n', ...delta.source, ...words(target)];
      assert.match(await changesNothing(target, args, 3), /does not hold what the changes/);
      truncateSync(target, 4096);
      assert.match(await changesNothing(target, args, 3), /too small|has 4096 bytes/);
      const missing = words(join(directory, 'missing'));
      await lvmsyncFails(['-n', ...delta.source, ...missing], 3, /missing does not exist/);
      assert.ok(!existsSync(join(directory, 'missing')));
    });

    test('of a copy says what it is of, whatever the target holds', async () => {
      const target = delta.target('target');
      const said = await changesNothing(target, [
        'copy',
        '-n',
        delta.path('origin'),
        ...words(target),
      ]);
      assert.match(said, /^Would send at most 4194304 bytes in 1 extent of .*origin\n/m);
      assert.match(said, NOTHING);
    });

    test('of a repair prints what differs, and sends none of it', async () => {
      const target = delta.target('target');
      const args = ['verify', '--repair', '--dry-run', delta.path('origin'), ...words(target)];
      const said = await changesNothing(target, args, 1);
      assert.match(said, /Would send \d+ bytes in \d+ ranges/);
      assert.match(said, NOTHING);
    });
  });
}

for (const format of ['3', '4'] as const) {
  test(`--dry-run of a rollback in format ${format} checks the snapback and the target`, async () => {
    const target = delta.target(`rolled-${format}`);
    const undo = delta.path(`undo-${format}`);
    await lvmsyncOk([...delta.source, target, '--snapback', undo, '--snapback-format', format]);
    const said = await changesNothing(target, ['rollback', '-n', undo, target]);
    assert.match(said, new RegExp(`^Would restore ${delta.changedBytes} bytes`));
    assert.match(said, NOTHING);
    truncateSync(target, 4096);
    assert.match(await changesNothing(target, ['rollback', '-n', undo, target], 3), /4096 bytes/);
  });

  test(`--dry-run of a stream of PROTO[${format}] to apply reads all of it`, async () => {
    const target = delta.target('applied');
    const stream = await delta.stream(format === '3' ? 3 : 4);
    const args = ['-n', '--apply', stream, target];
    const said = await changesNothing(target, args);
    assert.match(said, new RegExp(`^Would write ${delta.changedBytes} bytes`));
    truncateSync(stream, statSync(stream).size - 10);
    await changesNothing(target, args, 7);
  });
}

test('--dry-run with --json tells the plan to scripts', async () => {
  const target = delta.target('target');
  const { stdout } = await lvmsyncOk([
    '-n',
    '--json',
    ...delta.source,
    ...WAYS['over SSH']!(target),
  ]);
  const plan = JSON.parse(stdout.toString());
  assert.equal(plan.dryRun, true);
  assert.equal(plan.plannedBytes, delta.changedBytes);
  assert.equal(plan.targetBytes, 4 << 20);
  assert.match(plan.remoteCommand, /^lvmsync --apply - /);
});

test('a command that cannot be tried without doing it says so', async () => {
  await lvmsyncFails(['-n', 'serve', '--target', 'a=/b'], 2, /serve has no --dry-run/);
});
