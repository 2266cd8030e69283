import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { lvmsync, lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import {
  decodeRecord,
  encodeJson,
  encodeRecord,
  LABEL,
  splitStream,
  TYPE,
  totalsOf,
} from '../support/proto4.js';
import { lvmsyncPath } from '../support/repository.js';
import { createStoreFixture, sameContent } from '../support/store-fixture.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();
// Changed chunks that lie alone: the most that tables can cost.
const fixture = createStoreFixture(directory, {
  seed: 1,
  originBytes: 16 << 20,
  changedChunks: 1000,
});
const { origin, base, source, target, path } = fixture;

describe('a PROTO[4] stream in a file', () => {
  const write = async (...options: string[]) =>
    (await lvmsyncOk([...source, '--stdout', '--protocol', '4', ...options])).stdout;

  test('when 4 KiB chunks are sent then less than 0.25% is not data', async () => {
    const stream = await write();
    const records = splitStream(stream);
    const data = records.filter((record) => record[0] === TYPE.data);
    const { dataBytes } = totalsOf(data);
    assert.ok(dataBytes >= 4_000_000);
    const overhead = (stream.length - dataBytes) / dataBytes;
    assert.ok(overhead < 0.0025, `${(overhead * 100).toFixed(3)}%`);
  });

  test('when it is whole then hello, records and end stand in it and nothing else', async () => {
    const records = splitStream(await write());
    const decoded = records.map(decodeRecord);
    assert.equal(decoded[0]?.type, TYPE.hello);
    const hello = JSON.parse(decoded[0].payload.toString());
    assert.equal(hello.source.sizeBytes, origin.length);
    assert.equal(hello.source.chunkBytes, 4096);
    assert.equal(decoded.at(-1)?.type, TYPE.end);
    const body = records.slice(1, -1);
    assert.deepEqual(JSON.parse(decoded.at(-1)!.payload.toString()), totalsOf(body));
  });

  test('when both engines write it then it is the same', async () => {
    const js = splitStream(await write('--engine', 'js'));
    const native = splitStream(await write('--engine', 'native'));
    assert.deepEqual(js.slice(1), native.slice(1)); // the hello tells one run from another
  });

  for (const engine of ['native', 'js']) {
    test(`when the ${engine} engine applies it, from a file or a pipe, then the target is right`, async () => {
      const stream = await write();
      writeFileSync(path('stream'), stream);
      const first = target('target', base);
      await lvmsyncOk(['--apply', path('stream'), first, '--engine', engine]);
      assert.ok(sameContent(first, origin));
      const second = target('target', base);
      await lvmsyncOk(['--apply', '-', second, '--engine', engine], { input: stream });
      assert.ok(sameContent(second, origin));
    });
  }

  test('when one byte of the file is wrong then it is refused before the target is touched', async () => {
    const stream = await write();
    for (const at of [20, 300, stream.length >> 1, stream.length - 10]) {
      const damaged = Buffer.from(stream);
      damaged[at]! ^= 4;
      writeFileSync(path('stream'), damaged);
      const to = target('target', base);
      await lvmsyncFails(['--apply', path('stream'), to], 7, /checksum/);
      assert.ok(sameContent(to, base), `byte ${at}`);
    }
  });

  test('when two streams stand in one file then they are refused, not half applied', async () => {
    const stream = await write();
    writeFileSync(path('stream'), Buffer.concat([stream, stream]));
    const to = target('target', base);
    await lvmsyncFails(['--apply', path('stream'), to], 7, /^FATAL ERROR: /m);
    assert.ok(sameContent(to, base));
  });

  test('when it is cut short between two records then it is not taken for whole', async () => {
    const stream = await write();
    const end = splitStream(stream).at(-1)!;
    writeFileSync(path('stream'), stream.subarray(0, stream.length - end.length));
    const to = target('target', base);
    await lvmsyncFails(['--apply', path('stream'), to], 7, /ends before its end record/);
    assert.ok(sameContent(to, base));
  });
});

describe('a receiver that is not what it should be', () => {
  const answers = (name: string, bytes: Buffer, then: string) => {
    writeFileSync(path(`${name}-answers`), bytes);
    writeFileSync(path(name), `#!/bin/sh\ncat '${path(`${name}-answers`)}'\n${then}\n`);
    chmodSync(path(name), 0o755);
    return ['-e', path(name), '--retries', '0', '--no-verify-base', 'backup:/dev/null'];
  };
  const hello = encodeJson(TYPE.hello, {
    version: '1',
    capabilities: [],
    target: { sizeBytes: origin.length, kind: 'file' },
  });
  const accept = encodeJson(TYPE.accept, {});
  const opening = Buffer.concat([LABEL, hello, accept]);

  test('when it acknowledges what was not sent then that is no success', async () => {
    const receipt = { records: 1, dataBytes: 1, digest: '0'.repeat(64), flushed: true };
    const bytes = Buffer.concat([opening, encodeJson(TYPE.receipt, receipt)]);
    const { status, stderr } = await lvmsync([
      ...source,
      ...answers('early', bytes, 'cat >/dev/null'),
    ]);
    assert.equal(status, 7, stderr);
    assert.doesNotMatch(stderr, /Transferred/);
  });

  test('when it takes everything and ends well without a receipt then that is no success', async () => {
    const args = [...source, ...answers('silent-end', opening, 'head -c 2000000 >/dev/null')];
    const { status, stderr } = await lvmsync(args);
    assert.notEqual(status, 0);
    assert.doesNotMatch(stderr, /Transferred/);
  });

  test('when it answers and then stops for good then the sender gives it up in time', async () => {
    const args = [...source, '--timeout', '1', ...answers('stuck', opening, 'exec sleep 60')];
    await lvmsyncFails(args, 4, /nothing came for 1 seconds/);
  });

  test('when it only says that it is alive then it is waited for', async () => {
    const alive = encodeRecord(TYPE.alive, []);
    writeFileSync(path('alive'), alive);
    const refusal = encodeJson(TYPE.refuse, {
      code: 'TARGET_IN_USE',
      message: 'it is \x1b[31mheld',
    });
    writeFileSync(path('refusal'), refusal);
    const beat = `for i in 1 2 3 4 5; do sleep 0.5; cat '${path('alive')}'; done`;
    const then = `${beat}\ncat '${path('refusal')}'\nexit 3`;
    const args = [...source, '--timeout', '1', ...answers('beating', opening, then)];
    const { stderr } = await lvmsyncFails(args, 3, /it is {2}\[31mheld/);
    assert.ok(!stderr.includes('\u001b'));
  });
});

test('when a receiver takes long to start then hello and checks are there before it', async () => {
  const to = target('target', base);
  // Runs the command line once a CHECK has come, with all that has come.
  const program = `
    const { spawn } = require('node:child_process');
    const line = process.argv.at(-1);
    let received = Buffer.alloc(0);
    function hasCheck() {
      for (let at = ${LABEL.length}; at + 32 <= received.length; ) {
        if (received[at] === ${TYPE.check}) return true;
        at += 32 + 8 * received.readUInt16BE(at + 2) + received.readUInt32BE(at + 4);
      }
      return false;
    }
    process.stdin.on('data', function wait(chunk) {
      received = Buffer.concat([received, chunk]);
      if (!hasCheck()) return;
      process.stdin.off('data', wait);
      const child = spawn('sh', ['-c', line], { stdio: ['pipe', 'inherit', 'inherit'] });
      child.stdin.write(received);
      process.stdin.pipe(child.stdin);
      child.on('exit', (status) => process.exit(status));
    });`;
  writeFileSync(path('late.cjs'), program);
  const command = `lvmsync() { '${process.execPath}' '${lvmsyncPath}' "$@"; }; `;
  writeFileSync(
    path('late'),
    `#!/bin/sh\nshift\nexec '${process.execPath}' '${path('late.cjs')}' '${command.replaceAll("'", `'\\''`)}'"$*"\n`,
  );
  chmodSync(path('late'), 0o755);
  const { stderr } = await lvmsyncOk([
    ...[...source, '-v', '--retries', '0', '--timeout', '60'],
    ...['-e', path('late'), `backup:${to}`],
  ]);
  assert.match(stderr, /^base: the target holds what it should/m);
  assert.ok(sameContent(to, origin));
});

test('when a sender stops for good then the receiver gives it up in time', async () => {
  const to = target('target', base);
  const args = ['--apply', '-', '--protocol', '4', '--timeout', '1', '-v', to];
  const silent = spawn('sleep', ['60'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const receiver = spawn(process.execPath, [lvmsyncPath, ...args], {
    stdio: [silent.stdout, 'pipe', 'pipe'],
  });
  const [stdout, stderr, [status]] = await Promise.all([
    receiver.stdout.toArray().then(Buffer.concat),
    receiver.stderr.toArray().then((chunks) => Buffer.concat(chunks).toString()),
    once(receiver, 'exit'),
  ]).finally(() => silent.kill());
  assert.equal(status, 4, stderr);
  assert.match(stderr, /nothing came for 1 seconds/);
  const refusal = decodeRecord(splitStream(stdout).at(-1)!);
  assert.equal(JSON.parse(refusal.payload.toString()).code, 'PEER_STALLED');
  assert.ok(sameContent(to, base));
});

test('when the far side prints control characters then none reaches the terminal', async () => {
  writeFileSync(path('printing'), "#!/bin/sh\nprintf 'a\\033[2Jb\\rc\\td\\177\\n' >&2\nexit 42\n");
  const args = [...source, '-e', `sh ${path('printing')}`, '--protocol', '3', 'backup:/dev/null'];
  const { stderr } = await lvmsync(args);
  assert.match(stderr, /^a \[2Jb c\td $/m);
});

describe('falling back', () => {
  /** A far side that knows the classic options alone. */
  const original = path('original');
  const run = `exec '${process.execPath}' '${lvmsyncPath}' "$@"`;
  writeFileSync(
    original,
    `#!/bin/sh\nshift\neval "set -- $*"\nshift\ncase "$*" in *--protocol*) echo 'invalid option: --protocol' >&2; exit 1;; esac\n${run}\n`,
  );
  chmodSync(original, 0o755);

  test('when the receiver does not know PROTO[4] then PROTO[3] is spoken and that is told', async () => {
    const to = target('target', base);
    const { stderr } = await lvmsyncOk([...source, '-e', original, `backup:${to}`]);
    assert.match(stderr, /^WARNING: the receiver speaks PROTO\[3\] only: no checksums/m);
    assert.doesNotMatch(stderr, /invalid option/);
    assert.ok(sameContent(to, origin));
  });

  test('when PROTO[4] is insisted on then there is no falling back', async () => {
    const to = target('target', base);
    const args = [...source, '-e', original, '--protocol', '4', `backup:${to}`];
    await lvmsyncFails(args, 5, /invalid option/);
    assert.ok(sameContent(to, base));
  });

  test('when a receiver of ours refuses then PROTO[3] is not tried in its place', async () => {
    const to = target('target', base.subarray(0, 4096));
    const args = [...source, '-e', fixture.rsh(), `backup:${to}`];
    const { stderr } = await lvmsyncFails(args, 3, /4096/);
    assert.doesNotMatch(stderr, /PROTO\[3\]/);
    assert.equal(readFileSync(to).length, 4096);
  });
});
