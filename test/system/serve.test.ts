import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { runCommand } from '../support/command.js';
import { lvmsync, lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { decodeRecord, encodeRecord, splitStream, TYPE } from '../support/proto4.js';
import { startSshd, type TestSshd } from '../support/sshd.js';
import { createStates } from '../support/states.js';
import { createStoreFixture, sameContent } from '../support/store-fixture.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();
const fixture = createStoreFixture(directory, { seed: 1 });
const { origin, base, source, path } = fixture;
const target = path('target');
const other = path('other');
const snapbackDirectory = path('snapbacks');
mkdirSync(snapbackDirectory);

let sshd: TestSshd;
before(async () => {
  sshd = await startSshd();
});
after(() => sshd.stop());

/** As docs/security.md has it: the key may run this one command and nothing else. */
function allow(options: string): void {
  allowAlone(`--target data=${target} ${options}`);
}

/** What is served is in the options alone. */
function allowAlone(options: string): void {
  const key = readFileSync(`${sshd.identityFile}.pub`, 'utf8');
  const line = `restrict,command="lvmsync serve ${options}" ${key}`;
  writeFileSync(join(sshd.directory, 'authorized_keys'), line);
}

beforeEach(() => {
  allow('');
  writeFileSync(target, base);
  writeFileSync(other, base);
});

function send(...options: string[]): string[] {
  return ['--ssh-config', sshd.configFile, ...source, ...options];
}

/** What a hostile client would run, stream and all. */
function ssh(command: string[], input?: Buffer) {
  const args = ['-F', sshd.configFile, sshd.alias, ...command];
  return runCommand('ssh', args, { ...(input && { input }) });
}

describe('lvmsync serve behind a forced command', () => {
  test('when a sender replicates then the history is kept, and --hold waits for its word', async () => {
    const states = createStates(1, base.length - (base.length % 512), 2);
    writeFileSync(target, states.images[0]!);
    const receive = ['lvmsync', '--apply', '-', '--protocol', '4'];
    const first = [...receive, '--keep', '2', '--state-after', states.times[0]!, 'data'];
    assert.equal((await ssh(first, states.full(0))).status, 0);
    const next = [...receive, '--transactional', '--hold', ...states.words(1, 2), 'data'];
    const abandoned = await ssh(next, states.delta(1));
    assert.equal(abandoned.status, 7);
    assert.ok(sameContent(target, states.images[0]!));
    const commit = encodeRecord(TYPE.commit, []);
    const committed = await ssh(next, Buffer.concat([states.delta(1), commit]));
    assert.equal(committed.status, 0, committed.stderr);
    assert.ok(sameContent(target, states.images[1]!));
    await lvmsyncOk(['rollback', '--to', states.times[0]!, target]);
    assert.ok(sameContent(target, states.images[0]!));
  });

  test('when its target is named, by name or by path, then it is synchronised', async () => {
    for (const name of ['data', target]) {
      writeFileSync(target, base);
      const { stderr } = await lvmsyncOk(send('-v', `receiver:${name}`));
      assert.match(stderr, /^base: /m);
      assert.ok(sameContent(target, origin), name);
    }
  });

  test('when the sender is the real ssh then that works too', async () => {
    const rsh = `ssh -F '${sshd.configFile}'`;
    await lvmsyncOk([...source, '-e', rsh, `${sshd.alias}:data`]);
    assert.ok(sameContent(target, origin));
  });

  test('when another path is named then the sender says why it is refused', async () => {
    for (const name of [other, `${directory}/../x`, `${target}/../other`, '../other', 'data2']) {
      const { stderr } = await lvmsyncFails(send(`receiver:${name}`), 3, /none of those that are/);
      assert.equal(stderr.match(/none of those that are/g)?.length, 1, 'once');
      assert.ok(sameContent(other, base));
    }
  });

  test('when PROTO[3] is spoken then it is refused, and so is a stream of it', async () => {
    const { stdout: stream } = await lvmsyncOk([...source, '--stdout', '--protocol', '3']);
    await lvmsyncFails(send('--protocol', '3', 'receiver:data'), 5, /PROTO\[4\] alone is spoken/);
    const asked = await ssh(['lvmsync', '--apply', '-', '--protocol', '4', '-v', 'data'], stream);
    assert.equal(asked.status, 7);
    assert.match(asked.stderr, /asked for PROTO\[4\] and speaks PROTO\[3\]/);
    assert.ok(sameContent(target, base));
  });

  test('when --transactional is asked for then the target becomes new', async () => {
    await lvmsyncOk(send('--transactional', 'receiver:data'));
    assert.ok(sameContent(target, origin));
  });

  test('when --force or --snapback are asked for then they are refused', async () => {
    await lvmsyncFails(send('--force', 'receiver:data'), 3, /--force is not allowed/);
    const snapback = send('--snapback', 'before', 'receiver:data');
    await lvmsyncFails(snapback, 3, /--snapback is not allowed/);
    assert.ok(sameContent(target, base));
  });

  test('when they are allowed then they work, the snapback in its directory alone', async () => {
    allow(`--snapback-dir ${snapbackDirectory} --allow-force`);
    await lvmsyncOk(send('--force', '--snapback', 'before', 'receiver:data'));
    assert.ok(sameContent(target, origin));
    assert.deepEqual(readdirSync(snapbackDirectory), ['before']);
    await lvmsyncOk(['--apply', join(snapbackDirectory, 'before'), target]);
    assert.ok(sameContent(target, base));
    for (const name of ['../escaped', path('escaped'), '.hidden', 'a/b']) {
      await lvmsyncFails(send('--snapback', name, 'receiver:data'), 3, /a plain file name/);
    }
    assert.deepEqual(readdirSync(snapbackDirectory), ['before']);
    assert.ok(!existsSync(path('escaped')));
  });

  const marker = path('marker');
  const good = 'lvmsync --apply - --protocol 4';
  for (const command of [
    `touch ${marker}`,
    `${good} data; touch ${marker}`,
    `${good} data && touch ${marker}`,
    `${good} data\ntouch ${marker}`,
    `${good} $(touch ${marker})`,
    `${good} \`touch ${marker}\``,
    `${good} data > ${marker}`,
    `${good} --snapback ${marker} data`,
    `${good} --snapback=${marker} data`,
    `lvmsync --apply /etc/passwd --protocol 4 data`,
    `lvmsync --stdout --cow-device /dev/zero --data-source ${other}`,
    `lvmsync serve --target data=${other}`,
    'scp -t /tmp',
    `${good} --remote-command 'touch ${marker}' data`,
    `${good} -e 'touch ${marker}' data`,
  ]) {
    test(`when a client tries ${JSON.stringify(command.replaceAll(directory, ''))} then it gets a refusal`, async () => {
      const { status, stdout, stderr } = await ssh([command]);
      assert.equal(status, 3, stderr);
      const records = splitStream(stdout).map(decodeRecord);
      assert.deepEqual(
        records.map(({ type }) => type),
        [TYPE.refuse],
      );
      assert.equal(JSON.parse(records[0]!.payload.toString()).code, 'TARGET_UNSUITABLE');
      assert.ok(!existsSync(marker));
      assert.ok(sameContent(target, base) && sameContent(other, base));
    });
  }

  test('when a client asks for a shell then it gets none', async () => {
    const { status, stdout, stderr } = await ssh([]);
    assert.equal(status, 2);
    assert.equal(stdout.length, 0);
    assert.match(stderr, /no SSH_ORIGINAL_COMMAND/);
  });
});

describe('the options of lvmsync serve', () => {
  test('when they make no sense then that is told, before anything is read', async () => {
    for (const [args, message] of [
      [[], /--target/],
      [['--target', 'data'], /NAME=PATH/],
      [['--target', 'data=relative'], /absolute/],
      [['--target', '../x=/dev/null'], /NAME=PATH/],
      [['--target', 'a=/x', '--target', 'a=/y'], /twice/],
      [['--target', 'a=/x', '--snapback-dir', 'x'], /absolute/],
      [['--target', 'a=/x', '--shell'], /unknown option/],
      [['--target', 'a=/x', 'more'], /too many arguments/],
    ] as const) {
      await lvmsyncFails(['serve', ...args], 2, message);
    }
    const { stdout } = await lvmsync(['serve', '--help']);
    assert.match(stdout.toString(), /--snapback-dir/);
  });
});

describe('lvmsync serve --source behind a forced command', () => {
  const wanted = path('wanted');

  beforeEach(() => {
    writeFileSync(wanted, origin);
    allowAlone(`--source snap=${wanted}`);
  });

  const ask = (...words: string[]) => ['--ssh-config', sshd.configFile, ...words];

  test('when its source is named then it is copied, compared and repaired', async () => {
    for (const name of ['snap', wanted]) {
      writeFileSync(target, base);
      await lvmsyncOk(['copy', ...ask(`receiver:${name}`, target)]);
      assert.ok(sameContent(target, origin), name);
    }
    writeFileSync(target, base);
    assert.equal((await lvmsync(['verify', ...ask('receiver:snap', target)])).status, 1);
    await lvmsyncOk(['verify', '--repair', ...ask('receiver:snap', target)]);
    assert.ok(sameContent(target, origin));
  });

  test('when another source, or --force, is asked for then this end says why it is refused, once', async () => {
    for (const [why, ...words] of [
      ['none of those that are served', `receiver:${other}`],
      ['none of those that are served', `receiver:${wanted}/../other`],
      ['none of those that are served', '--data-source', other, 'receiver:snap'],
      ['--force is not allowed', '--force', 'receiver:snap'],
    ] as const) {
      const command = words[0] === '--data-source' ? 'pull' : 'copy';
      const { stderr } = await lvmsyncFails([command, ...ask(...words, target)], 3, RegExp(why));
      assert.equal(stderr.match(/FATAL ERROR/g)?.length, 1, stderr);
    }
    assert.ok(sameContent(target, base));
  });

  test('when the same key tries to write then it is refused, and the other way round', async () => {
    await lvmsyncFails(send('receiver:snap'), 3, /the target is none of those that are served/);
    await lvmsyncFails(send(`receiver:${wanted}`), 3, /none of those that are served/);
    assert.ok(sameContent(wanted, origin));
    allow('');
    const args = ['copy', ...ask('receiver:data', other)];
    await lvmsyncFails(args, 3, /the source is none of those that are served/);
    assert.ok(sameContent(other, base));
  });
});
