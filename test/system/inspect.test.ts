import assert from 'node:assert/strict';
import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { runCommand } from '../support/command.js';
import { createDelta } from '../support/delta.js';
import { lvmsync, lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { nodeWithZstd } from '../support/newer-node.js';
import { encodeRecord, LABEL, TYPE } from '../support/proto4.js';
import { createRandom } from '../support/random.js';
import { lvmsyncPath, repositoryRoot } from '../support/repository.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();
process.env.LVMSYNC_STATE_DIR = join(directory, 'state');
const ORIGIN_BYTES = 3 << 20;
const delta = createDelta(directory, 1, ORIGIN_BYTES);
const DAMAGED = 7;

async function inspect(words: string[], input?: Uint8Array) {
  const result = await lvmsync(['inspect', '--json', ...words], input && { input });
  const answer = JSON.parse(result.stdout.toString());
  return { status: result.status, file: answer.files[0], answer };
}

function classic(name: string): Buffer {
  const path = join(repositoryRoot, 'test/fixtures/classic', `${name}.gz`);
  return gunzipSync(readFileSync(path));
}

function write(name: string, bytes: Buffer): string {
  writeFileSync(delta.path(name), bytes);
  return delta.path(name);
}

async function undoLog(name: string): Promise<string> {
  const undo = delta.path(name);
  await lvmsyncOk([...delta.source, delta.target(`${name}-target`), '--snapback', undo]);
  return undo;
}

test('when a stream is whole, then its counts are those of the changes, from a file and from standard input', async () => {
  const { stdout } = await lvmsyncOk(['diff', '--json', ...delta.source]);
  const diff = JSON.parse(stdout.toString());
  const stream = await delta.stream(4);
  const bytes = readFileSync(stream);
  for (const { status, file } of [await inspect([stream]), await inspect(['-'], bytes)]) {
    assert.equal(status, 0);
    assert.equal(file.kind, 'stream');
    assert.equal(file.state, 'whole');
    assert.equal(file.problem, undefined);
    assert.equal(file.dataBytes, delta.changedBytes);
    assert.equal(file.extentCount, diff.extentCount);
    assert.deepEqual([file.fileBytes, file.wholeBytes], [bytes.length, bytes.length]);
    assert.equal(file.header.sizeBytes, ORIGIN_BYTES);
    assert.deepEqual(file.header.announced, {
      extentCount: diff.extentCount,
      dataBytes: delta.changedBytes,
    });
  }
});

test('when a stream is compressed, then it is decompressed where this Node can, and else that is said', async () => {
  const newer = await nodeWithZstd();
  const args = [...delta.source, '--stdout', '--protocol', '4', '--compress'];
  const made = await runCommand(newer, [lvmsyncPath, ...args]);
  const stream = write('compressed', made.stdout);
  const here = await inspect([stream]);
  assert.deepEqual([here.status, here.file.state], [0, 'whole']);
  assert.equal(here.file.dataBytes, delta.changedBytes);
  const answer = await runCommand(newer, [lvmsyncPath, 'inspect', stream]);
  assert.equal(answer.status, 0);
  assert.doesNotMatch(answer.stdout.toString(), /no zstd/);
});

for (const [name, records, dataBytes] of [
  ['ruby-sender-256.stream', 256, 256 * 4096],
  ['ruby-sender-3.stream', 3, 3 * 4096],
  ['p3-two-chunks.stream', 2, 8192],
  ['two-chunks.snapback', 2, 8192],
  ['p3-empty.stream', 0, 0],
] as const) {
  test(`when ${name} of the original is looked at, then its records are counted, and nobody says that it is whole`, async () => {
    const bytes = classic(name);
    const { status, file } = await inspect([write(name, bytes)]);
    assert.equal(status, 0);
    assert.deepEqual([file.kind, file.state], ['proto3', 'unproven']);
    assert.deepEqual([file.records.data, file.dataBytes], [records, dataBytes]);
    assert.equal(file.wholeBytes, bytes.length);
    const { stdout } = await lvmsyncOk(['inspect', delta.path(name)]);
    assert.match(stdout.toString(), /sound as far as can be seen: it has no checksums/);
  });
}

test('when a PROTO[3] stream is cut, then it says at which byte, and where the last whole record ends', async () => {
  const bytes = classic('p3-truncated-data.stream');
  const { status, file } = await inspect([write('p3-cut', bytes)]);
  assert.equal(status, DAMAGED);
  assert.equal(file.state, 'truncated');
  assert.equal(file.problem.offset, bytes.length);
  assert.equal(file.wholeBytes, 17 + 12 + 4096);
  assert.deepEqual([file.records.data, file.dataBytes], [1, 4096]);
});

test('when a stream is cut anywhere, then it is told so, with the byte', async () => {
  const bytes = readFileSync(await delta.stream(4));
  const random = createRandom(3);
  const places = [1, 16, 17, 18, 48, 49, bytes.length - 1];
  for (let i = 0; i < 3; i++) places.push(1 + random.below(bytes.length - 1));
  for (const place of places) {
    const { status, file } = await inspect([write('cut', bytes.subarray(0, place))]);
    assert.equal(status, DAMAGED);
    if (place < 17) assert.equal(file.kind, 'unknown');
    else assert.deepEqual([file.state, file.problem.offset], ['truncated', place], `${place}`);
    assert.ok(file.wholeBytes <= place);
  }
});

for (const [what, make] of [
  ['stream', () => delta.stream(4)],
  ['snapback', () => undoLog('flipped')],
] as const) {
  test(`when a bit of a ${what} is flipped anywhere, then nobody says that it is whole, from a file or standard input`, async () => {
    const whole = readFileSync(await make());
    const random = createRandom(4);
    for (let round = 0; round < 6; round++) {
      const bytes = Buffer.from(whole);
      // Half of them where the label, the hello, and the end are.
      const near = random.chance(0.5) ? 400 : whole.length;
      const at = random.chance(0.5) ? random.below(near) : whole.length - 1 - random.below(near);
      bytes[at]! ^= 1 << random.below(8);
      const { status, file } =
        round % 2 === 0 ? await inspect([write('bad', bytes)]) : await inspect(['-'], bytes);
      assert.equal(status, DAMAGED, `bit of byte ${at}`);
      assert.notEqual(file.state, 'whole');
      assert.ok(file.problem.offset <= at, `byte ${at} is bad, but ${file.problem.offset} is told`);
    }
  });
}

test('when a file says of itself what would move the cursor, then it does not', async () => {
  const source = {
    sizeBytes: 4096,
    chunkBytes: 4096,
    id: 'a\u001b[2Jb\u009b2Jc\nd',
    extents: { count: 0, bytes: 0, digest: '' },
  };
  const hello = encodeRecord(
    TYPE.hello,
    [],
    Buffer.from(JSON.stringify({ version: '\u0007', capabilities: [], source })),
  );
  const { stdout } = await lvmsync(['inspect', write('rude', Buffer.concat([LABEL, hello]))]);
  assert.match(stdout.toString(), /from a \[2Jb 2Jc d, 4096 bytes/);
  assert.doesNotMatch(stdout.toString(), /[^\P{Cc}\n]/u);
});

test('when snapbacks are of runs on one target, then the newest is rolled back first, and following that restores the base', async () => {
  const target = delta.target('twice');
  const [first, second] = [delta.path('first'), delta.path('second')];
  await lvmsyncOk([...delta.source, target, '--snapback', first]);
  const middle = readFileSync(target);
  writeFileSync(target, Buffer.concat([Buffer.alloc(8192, 'x'), middle.subarray(8192)]));
  const changed = readFileSync(target);
  await lvmsyncOk([...delta.source, target, '--no-verify-base', '--snapback', second]);
  // Copies do not keep the time of a file.
  utimesSync(first, new Date(), new Date(Date.now() + 3_600_000));
  const { status, answer } = await inspect([first, second, await delta.stream(4)]);
  assert.equal(status, 0);
  assert.equal(answer.order.length, 1);
  assert.deepEqual(answer.order[0].order, [second, first]);
  assert.deepEqual([answer.order[0].basis, answer.order[0].unordered], ['begun', []]);
  const { stdout } = await lvmsyncOk(['inspect', first, second]);
  assert.match(
    stdout.toString(),
    /\nTo roll back, newest first, by the beginning of their runs, file .*twice \d+:\n {2}1\. .*second\n {2}2\. .*first\n$/,
  );
  await lvmsyncOk(['rollback', second, target]);
  assert.ok(delta.holds(target, changed));
  await lvmsyncOk(['rollback', first, target]);
  assert.ok(delta.holds(target, restored(changed)));
});

/** What the first run overwrote is back; what was changed by hand where it had not written stays. */
function restored(changed: Buffer): Buffer {
  const image = Buffer.from(changed);
  for (let block = 0; block * 4096 < image.length; block++) {
    const [start, end] = [block * 4096, (block + 1) * 4096];
    const base = delta.before.subarray(start, end);
    if (!base.equals(delta.after.subarray(start, end))) base.copy(image, start);
  }
  return image;
}

test('when the log of a run was cut, then a torn end is told from damage, and neither is whole', async () => {
  const bytes = readFileSync(await undoLog('torn'));
  const torn = write('torn-cut', bytes.subarray(0, bytes.length - 20));
  const { status, file } = await inspect([torn]);
  assert.deepEqual([status, file.kind, file.state], [DAMAGED, 'undo-log', 'unended']);
  assert.equal(file.dataBytes, delta.changedBytes);
  assert.equal(file.wholeBytes, file.problem.offset);
  assert.equal(file.fileBytes, bytes.length - 20);
  const { stdout } = await lvmsync(['inspect', torn]);
  assert.match(stdout.toString(), /without its end: .* a rollback takes it as it is/);
  // From standard input the marks behind cannot be looked for.
  const fromInput = await inspect(['-'], readFileSync(torn));
  assert.deepEqual([fromInput.status, fromInput.file.state], [DAMAGED, 'truncated']);
});

test('when the map of a stream is drawn, then it is that of the changes', async () => {
  const mapLines = (text: Buffer) =>
    text
      .toString()
      .split('\n')
      .filter((line) => line.includes('|'));
  const env = { env: { LC_ALL: 'C', COLUMNS: '80' } };
  const diff = await lvmsyncOk(['diff', '--map', ...delta.source], env);
  const stream = await lvmsyncOk(['inspect', '--map', await delta.stream(4)], env);
  assert.ok(mapLines(diff.stdout).length > 8);
  assert.deepEqual(mapLines(stream.stdout), mapLines(diff.stdout));
  const classicStream = await lvmsyncOk(['inspect', '--map', await delta.stream(3)], env);
  assert.ok(mapLines(classicStream.stdout).length > 8);
});

test('when the command line makes no sense, then that is an error', async () => {
  await lvmsyncFails(['inspect'], 2, /missing required argument/);
  await lvmsyncFails(['inspect', '-', '-'], 2, /read only once/, { input: '' });
  await lvmsyncFails(['inspect', delta.path('none')], 6, /ENOENT/);
  await lvmsyncFails(['inspect', directory], 6, /EISDIR/);
});
