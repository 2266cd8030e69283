import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { repositoryRoot } from '../support/repository.js';
import { createStoreFixture, sameContent } from '../support/store-fixture.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();
const MIB = 1 << 20;
// Large enough for several records, so that a cut leaves some of them applied.
const fixture = createStoreFixture(directory, {
  seed: 1,
  originBytes: 16 * MIB,
  chunkBytes: 65536,
  changedChunks: 120,
});
const { origin, base, changedOffsets, target } = fixture;
const originPath = join(directory, 'origin-1');
const storePath = join(directory, 'store-1');

/** For `-e`: the first `times` connections lose what the sender sends behind `bytes`. */
function breakingRsh(name: string, times: number, bytes: number): string {
  const path = join(directory, name);
  const program = `#!${process.execPath}
    const { spawn } = require('node:child_process');
    const { existsSync, readFileSync, writeFileSync } = require('node:fs');
    const count = '${path}.count';
    const used = existsSync(count) ? Number(readFileSync(count, 'utf8')) : 0;
    writeFileSync(count, String(used + 1));
    const env = { ...process.env, PATH: '${repositoryRoot}/bin:' + process.env.PATH };
    const far = spawn('sh', ['-c', process.argv.slice(3).join(' ')], {
      stdio: ['pipe', 'inherit', 'inherit'], env });
    let left = used < ${times} ? ${bytes} : Infinity;
    far.stdin.on('error', () => {});
    process.stdin.on('data', (chunk) => {
      if (left <= 0) return;
      far.stdin.write(chunk.subarray(0, Math.min(left, chunk.length)));
      left -= chunk.length;
      if (left <= 0) far.stdin.end();
    });
    process.stdin.on('end', () => far.stdin.end());
    far.on('close', (status) => process.exit(left <= 0 ? 255 : (status ?? 255)));`;
  writeFileSync(`${path}.cjs`, program);
  chmodSync(`${path}.cjs`, 0o755);
  return `${path}.cjs`;
}

function send(rsh: string, path: string, ...options: string[]): string[] {
  return [...fixture.source, '-v', '-e', rsh, ...options, `backup:${path}`];
}

/** How many bytes the last receiver says it applied. */
function appliedBytes(stderr: string): number {
  return Number(/^applied \d+ records, (\d+) bytes/m.exec(stderr)?.[1]);
}

const CUT_BYTES = 4 * MIB;
const TOTAL_BYTES = changedOffsets.length * 65536;

test('when a connection breaks then the same run goes on where the target is durable', async () => {
  const path = target('same-run', base);
  const { stderr } = await lvmsyncOk(send(breakingRsh('same-run-rsh', 1, CUT_BYTES), path));
  assert.match(stderr, /^WARNING: .*trying again in 1 s \(1 of 5\)$/m);
  assert.match(stderr, /^resuming at offset \d+: \d+ bytes are there already$/m);
  assert.ok(appliedBytes(stderr) < TOTAL_BYTES, stderr);
  assert.ok(sameContent(path, origin));
});

test('when another run goes on then it compares first, and sends again what has changed since', async () => {
  const path = target('other-run', base);
  const rsh = breakingRsh('other-run-rsh', 1, CUT_BYTES);
  await lvmsyncFails(send(rsh, path, '--retries', '0'), 7, /the stream ends/);
  assert.ok(!sameContent(path, origin) && !sameContent(path, base));

  const first = Math.min(...changedOffsets);
  const changed = Buffer.from(origin);
  changed.write('written again, in a chunk that the snapshot has an exception for', first);
  writeFileSync(originPath, changed);
  try {
    const { stderr } = await lvmsyncOk(send(rsh, path));
    assert.match(stderr, /^resuming at offset \d+: of \d+ bytes that an earlier run sent, 65536 /m);
    assert.ok(appliedBytes(stderr) < TOTAL_BYTES, stderr);
    assert.ok(sameContent(path, changed));
  } finally {
    writeFileSync(originPath, origin);
  }
});

test('when an interrupted run left torn chunks then the next run is not refused for them', async () => {
  const path = target('torn', base);
  const rsh = breakingRsh('torn-rsh', 1, CUT_BYTES);
  await lvmsyncFails(send(rsh, path, '--retries', '0'), 7, /the stream ends/);
  const torn = readFileSync(path);
  for (const offset of changedOffsets) torn.write('half old, half new', offset + 100);
  writeFileSync(path, torn);
  await lvmsyncOk(send(rsh, path, '--verify-base', 'full'));
  assert.ok(sameContent(path, origin));
});

test('when the origin was written on since the interrupted run then what that left is not refused', async () => {
  const path = target('grown-list', base);
  const rsh = breakingRsh('grown-list-rsh', 1, CUT_BYTES);
  const whole = readFileSync(storePath);
  const lastEntry = 65536 + (changedOffsets.length - 1) * 16;
  const earlier = Buffer.from(origin);
  for (const offset of changedOffsets) earlier.write('written again later', offset);
  const lastOffset = changedOffsets.at(-1)!;
  base.copy(earlier, lastOffset, lastOffset, lastOffset + 65536);
  writeFileSync(storePath, Buffer.from(whole).fill(0, lastEntry, lastEntry + 16));
  writeFileSync(originPath, earlier);
  try {
    await lvmsyncFails(send(rsh, path, '--retries', '0'), 7, /the stream ends/);
  } finally {
    writeFileSync(storePath, whole);
    writeFileSync(originPath, origin);
  }
  // It fails before it changes anything: what was remembered is remembered still.
  const early = breakingRsh('early-rsh', 1, 1024);
  await lvmsyncFails(send(early, path, '--retries', '0'), 7, /the stream ends/);
  const { stderr } = await lvmsyncOk(send(rsh, path, '--verify-base', 'full'));
  assert.match(stderr, /^starting over: there are other changes than when it was interrupted$/m);
  assert.ok(sameContent(path, origin));
});

test('when the interrupted run was of another source then it starts over, and says so', async () => {
  const path = target('other-list', base);
  const rsh = breakingRsh('other-list-rsh', 1, CUT_BYTES);
  await lvmsyncFails(send(rsh, path, '--retries', '0'), 7, /the stream ends/);
  const other = createStoreFixture(directory, {
    seed: 2,
    originBytes: 16 * MIB,
    chunkBytes: 65536,
    changedChunks: 50,
  });
  writeFileSync(path, other.base);
  const { stderr } = await lvmsyncOk([...other.source, '-v', '-e', rsh, `backup:${path}`]);
  assert.match(stderr, /^starting over: .*another source$/m);
  assert.ok(sameContent(path, other.origin));
});
