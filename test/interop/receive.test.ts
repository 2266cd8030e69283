import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { createRandom } from '../support/random.js';
import {
  type ClassicRecord,
  createWorkbench,
  decodeStream,
  encodeStream,
  fixture,
  HANDSHAKE,
  recordedOrigin,
  storedChunks,
  withRecords,
} from './classic.js';

const bench = createWorkbench();
after(() => bench.remove());

/** Applies a stream from a file and from standard input, each to its own copy of `base`. */
async function applyBothWays(stream: Buffer, base: Buffer) {
  const file = bench.write('stream', stream);
  const results = [];
  for (const from of ['file', 'standard input'] as const) {
    const target = bench.write('target', base);
    const args = ['--apply', from === 'file' ? file : '-', target];
    const result = await bench.lvmsync(args, from === 'file' ? {} : { input: stream });
    results.push({ from, ...result, content: readFileSync(target) });
  }
  return results;
}

async function isRefused(stream: Buffer, base: Buffer, message: RegExp): Promise<void> {
  for (const { status, stderr, content, from } of await applyBothWays(stream, base)) {
    assert.notEqual(status, 0, from);
    assert.match(stderr, /^FATAL ERROR: /);
    assert.match(stderr, message);
    assert.ok(content.equals(base), `from ${from}: the target was changed`);
  }
}

for (const count of [3, 256]) {
  test(`when a stream of ${count} chunks by the original is applied then base becomes origin`, async () => {
    const stream = fixture(`ruby-sender-${count}.stream`);
    const origin = recordedOrigin();
    const base = withRecords(origin, storedChunks(fixture(`cow-8s-${count}.img`)));
    assert.ok(!base.equals(origin));
    for (const { status, stderr, content, from } of await applyBothWays(stream, base)) {
      assert.equal(status, 0, stderr);
      assert.ok(content.equals(origin), `from ${from}`);
    }
  });
}

test('when the stream has no record then nothing changes and all is well', async () => {
  const base = fixture('dest-base.img');
  for (const { status, stderr, content } of await applyBothWays(fixture('p3-empty.stream'), base)) {
    assert.equal(status, 0, stderr);
    assert.ok(content.equals(base));
  }
});

/** A snapback that an original can read, too. */
const CLASSIC = ['--snapback-format', '3'];

test('when a snapback is asked for then it does what the recorded one does', async () => {
  const base = fixture('dest-base.img');
  const stream = fixture('p3-two-chunks.stream');
  const target = bench.write('target', base);
  const snapback = bench.path('two-chunks');
  const applied = await bench.lvmsync(
    ['--apply', '-', '--snapback', snapback, ...CLASSIC, target],
    {
      input: stream,
    },
  );
  assert.equal(applied.status, 0, applied.stderr);
  const after = withRecords(base, decodeStream(stream));
  assert.ok(readFileSync(target).equals(after));

  const ours = decodeStream(readFileSync(snapback));
  const recorded = decodeStream(fixture('two-chunks.snapback'));
  assert.deepEqual(ours, recorded);
  const restored = await bench.lvmsync(['--apply', snapback, target]);
  assert.equal(restored.status, 0, restored.stderr);
  assert.ok(readFileSync(target).equals(base));
});

test('when a snapback by the original is applied then it restores', async () => {
  const base = fixture('dest-base.img');
  const changed = withRecords(base, decodeStream(fixture('p3-two-chunks.stream')));
  for (const { status, content } of await applyBothWays(fixture('two-chunks.snapback'), changed)) {
    assert.equal(status, 0);
    assert.ok(content.equals(base));
  }
});

/** Records that overwrite one another, also across the receiver's buffers. */
function overlappingRecords(bytes: number, targetBytes: number): ClassicRecord[] {
  const random = createRandom(8);
  const records: ClassicRecord[] = [];
  for (let total = 0; total < bytes; ) {
    const offset = random.chance(0.5) ? 4096 * random.below(4) : random.below(targetBytes - 1);
    const length = Math.min(1 + random.below(20_000), targetBytes - offset);
    records.push({ offset, data: Buffer.alloc(length, random.uint32()) });
    total += length;
  }
  return records;
}

test('when records overwrite one another then the last one wins and the snapback restores', async () => {
  const base = createRandom(7).bytes(100_001);
  const records = overlappingRecords(3 << 20, base.length);
  const target = bench.write('target', base);
  const snapback = bench.path('overlapping');
  const input = encodeStream(records);
  const applied = await bench.lvmsync(['--apply', '-', '-b', snapback, ...CLASSIC, target], {
    input,
  });
  assert.equal(applied.status, 0, applied.stderr);
  const changed = withRecords(base, records);
  assert.ok(readFileSync(target).equals(changed));

  const restored = await bench.lvmsync(['--apply', snapback, target]);
  assert.equal(restored.status, 0, restored.stderr);
  assert.ok(readFileSync(target).equals(base));

  bench.write('target', changed);
  const args = ['--apply', '-', target];
  const byOriginal = await bench.originalReceiver(args, readFileSync(snapback));
  assert.equal(byOriginal.status, 0, byOriginal.stderr);
  assert.ok(readFileSync(target).equals(base), 'the original does not restore with our snapback');
});

test('when the stream was cut inside a record then that is an error that says so', async () => {
  const stream = fixture('p3-truncated-data.stream');
  const base = fixture('dest-base.img');
  const [fromFile, fromInput] = await applyBothWays(stream, base);
  for (const result of [fromFile!, fromInput!]) {
    assert.notEqual(result.status, 0);
    assert.match(result.stderr, /^FATAL ERROR: the stream ends inside record 1: 3096 bytes/);
  }
  assert.ok(fromFile!.content.equals(base), 'a file is checked before the target is touched');
  // From a pipe nobody could know: only bytes of the stream may have been written, in their place.
  const whole = withRecords(base, [
    { offset: 4096, data: Buffer.alloc(4096, 'A') },
    { offset: 8192, data: Buffer.alloc(1000, 'B') },
  ]);
  for (let at = 0; at < base.length; at++) {
    assert.ok([base[at], whole[at]].includes(fromInput!.content[at]), `byte ${at}`);
  }
  assert.equal(fromInput!.content.length, base.length);
});

test('when the stream was cut inside a header then that is an error that says so', async () => {
  const stream = fixture('p3-two-chunks.stream').subarray(0, 17 + 12 + 4096 + 5);
  for (const { status, stderr } of await applyBothWays(stream, fixture('dest-base.img'))) {
    assert.notEqual(status, 0);
    assert.match(stderr, /^FATAL ERROR: the stream ends inside the header of record 1/);
  }
});

test('when a record lies past the end of the target then it is refused and nothing changes', async () => {
  await isRefused(fixture('p3-past-end.stream'), fixture('dest-base.img'), /65536/);
});

test('when the handshake ends with a carriage return then it is accepted', async () => {
  const stream = fixture('p3-two-chunks.stream');
  const base = fixture('dest-base.img');
  const carriageReturn = Buffer.concat([
    Buffer.from('lvmsync PROTO[3]\r\n'),
    stream.subarray(HANDSHAKE.length),
  ]);
  for (const { status, stderr, content } of await applyBothWays(carriageReturn, base)) {
    assert.equal(status, 0, stderr);
    assert.ok(content.equals(withRecords(base, decodeStream(stream))));
  }
});

for (const [handshake, message] of [
  ['lvmsync PROTO[3] zstd\n', /PROTO\[3\]/],
  ['lvmsync PROTO[1]\n', /classic lvmsync .*PROTO\[1\]/],
  ['lvmsync PROTO[2]\n', /classic lvmsync .*PROTO\[2\]/],
  ['lvmsync PROTO[9]\n', /PROTO\[9\]/],
  ['Last login: Mon Nov 3 10:00:00 from somewhere\n', /not an lvmsync stream/],
] as const) {
  test(`when the handshake is ${JSON.stringify(handshake)} then it is refused by its name`, async () => {
    const records = fixture('p3-two-chunks.stream').subarray(HANDSHAKE.length);
    const stream = Buffer.concat([Buffer.from(handshake), records]);
    await isRefused(stream, fixture('dest-base.img'), message);
  });
}

test('when offsets are little-endian then an early version of the original is suspected', async () => {
  const stream = fixture('p3-two-chunks.stream');
  stream.subarray(HANDSHAKE.length, HANDSHAKE.length + 8).reverse();
  await isRefused(stream, fixture('dest-base.img'), /early classic lvmsync/);
});

test('when nothing at all comes then it is an error', async () => {
  await isRefused(Buffer.alloc(0), fixture('dest-base.img'), /nothing came|empty/);
});

test('when the target does not exist then it is not created, and lvcreate is suggested', async () => {
  const target = bench.path('missing');
  const input = fixture('p3-two-chunks.stream');
  const { status, stderr } = await bench.lvmsync(['--apply', '-', target], { input });
  assert.notEqual(status, 0);
  assert.match(stderr, /^FATAL ERROR: .*missing does not exist\n.*lvcreate/);
  assert.ok(!existsSync(target));
});

test('when the snapback is there already and holds data then nothing is touched', async () => {
  const base = fixture('dest-base.img');
  const target = bench.write('target', base);
  const precious = fixture('two-chunks.snapback');
  const snapback = bench.write('precious', precious);
  const input = fixture('p3-two-chunks.stream');
  const args = ['--apply', '-', '--snapback', snapback, target];
  const { status, stderr } = await bench.lvmsync(args, { input });
  assert.notEqual(status, 0);
  assert.match(stderr, /^FATAL ERROR: .*precious/);
  assert.ok(readFileSync(snapback).equals(precious));
  assert.ok(readFileSync(target).equals(base));
});

test('when it is started with --server then that means --apply -', async () => {
  const base = fixture('dest-base.img');
  const stream = fixture('p3-two-chunks.stream');
  const target = bench.write('target', base);
  const { status, stderr } = await bench.lvmsync(['--server', target], { input: stream });
  assert.equal(status, 0, stderr);
  assert.ok(readFileSync(target).equals(withRecords(base, decodeStream(stream))));
});

for (const options of [[], ['-v'], ['-d'], ['-v', '-d'], ['--snapback']]) {
  test(`when the original sender starts ours with [${options}] then the target is right`, async () => {
    const store = fixture('cow-8s-256.img');
    const origin = recordedOrigin();
    const base = withRecords(origin, storedChunks(store));
    const target = bench.write('target', base);
    const snapback = bench.path('by-original');
    const words = options[0] === '--snapback' ? ['--snapback', snapback] : options;
    const { status, stderr } = await bench.originalSender(
      [
        bench.write('store', store),
        bench.write('origin', origin),
        bench.rsh,
        `backup:${target}`,
        ...words,
      ],
      { far: 'ours' },
    );
    assert.equal(status, 0, stderr);
    assert.ok(readFileSync(target).equals(origin));
    if (words[1] === snapback) {
      const restored = await bench.lvmsync(['--apply', snapback, target]);
      assert.equal(restored.status, 0, restored.stderr);
      assert.ok(readFileSync(target).equals(base));
    }
  });
}
