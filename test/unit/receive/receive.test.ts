import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { BlockFile } from '#lvmsync/block/engine.js';
import { createJsEngine } from '#lvmsync/block/js-engine.js';
import { readHandshake } from '#lvmsync/receive/read-handshake.js';
import { receive } from '#lvmsync/receive/receive.js';
import { createSnapback } from '#lvmsync/receive/snapback.js';
import { writeProto3Header } from '#lvmsync/stream/proto3.js';
import { streamSource } from '#lvmsync/transport/byte-source.js';
import { createRandom } from '../../support/random.js';
import { temporaryDirectory } from '../../support/temp-dir.js';

const directory = temporaryDirectory();
const engine = createJsEngine();
const SIZE_BYTES = 1_000_003; // the last block of the target is a partial one
let files = 0;

type Write = [offset: number, data: Buffer];

function streamOf(writes: Write[]): Buffer {
  const parts: Buffer[] = [Buffer.from('lvmsync PROTO[3]\n')];
  for (const [offset, data] of writes) {
    const header = Buffer.alloc(12);
    writeProto3Header(header, 0, offset, data.length);
    parts.push(header, data);
  }
  return Buffer.concat(parts);
}

/** Applies the bytes, handed over in chunks of the given size, and returns what the target holds. */
async function apply(base: Buffer, stream: Buffer, chunkBytes: number, snapbackPath?: string) {
  const path = join(directory, `target-${files++}`);
  writeFileSync(path, base);
  const chunks = [];
  for (let at = 0; at < stream.length; at += chunkBytes) {
    chunks.push(stream.subarray(at, at + chunkBytes));
  }
  const source = streamSource(Readable.from(chunks, { objectMode: false }), 'the test');
  const target: BlockFile = await engine.open(path, { mode: 'write' });
  try {
    const snapback =
      snapbackPath === undefined ? undefined : await createSnapback(snapbackPath, target, engine);
    try {
      await readHandshake(source);
      await receive({ source, target, engine, ...(snapback && { snapback }) });
    } finally {
      await snapback?.close();
    }
  } finally {
    await target.close();
  }
  return readFileSync(path);
}

/** What the target has to hold: the writes one after the other. */
function expected(base: Buffer, writes: Write[]): Buffer {
  const image = Buffer.from(base);
  for (const [offset, data] of writes) data.copy(image, offset);
  return image;
}

function randomWrites(seed: number, count: number, maxBytes: number): Write[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => {
    const data = random.bytes(1 + random.below(maxBytes));
    return [random.below(SIZE_BYTES - data.length), data];
  });
}

const base = createRandom(1).bytes(SIZE_BYTES);

test('when records overlap in any order, then the target ends as if written one after the other', async () => {
  for (const [seed, chunkBytes] of [
    [10, 65536],
    [11, 1000],
    [12, 17],
  ] as const) {
    const writes = randomWrites(seed, 400, 9000);
    const image = await apply(base, streamOf(writes), chunkBytes);
    assert.ok(image.equals(expected(base, writes)), `seed ${seed}`);
  }
});

test('when a record is longer than all buffers together, then it is applied whole', async () => {
  const big = Buffer.alloc(20 << 20, 'the same old story ');
  const path = join(directory, 'big');
  writeFileSync(path, Buffer.alloc(21 << 20));
  const target = await engine.open(path, { mode: 'write' });
  const source = streamSource(Readable.from([streamOf([[5000, big]])]), 'the test');
  await readHandshake(source);
  const report = await receive({ source, target, engine });
  await target.close();
  assert.deepEqual(report, { recordCount: 1, writtenBytes: big.length });
  const image = readFileSync(path);
  assert.ok(image.subarray(5000, 5000 + big.length).equals(big));
  assert.ok(image.subarray(0, 5000).equals(Buffer.alloc(5000)));
});

test('when a snapback of overlapping records is applied, then the base is restored exactly', async () => {
  const writes = [...randomWrites(20, 300, 9000), ...randomWrites(20, 10, 9000)];
  writes.push([SIZE_BYTES - 3, Buffer.from('end')]);
  const snapbackPath = join(directory, 'snapback');
  const changed = await apply(base, streamOf(writes), 65536, snapbackPath);
  assert.ok(changed.equals(expected(base, writes)));
  assert.ok(!changed.equals(base));
  const restored = await apply(changed, readFileSync(snapbackPath), 65536);
  assert.ok(restored.equals(base));
});

test('when one block is overwritten many times, then the snapback holds it once', async () => {
  const writes: Write[] = Array.from({ length: 50 }, (_, i) => [8192 + i, Buffer.alloc(100, i)]);
  const snapbackPath = join(directory, 'snapback-once');
  await apply(base, streamOf(writes), 65536, snapbackPath);
  assert.equal(readFileSync(snapbackPath).length, 17 + 12 + 4096);
});

test('when the snapback holds data already, then it is refused and the target unchanged', async () => {
  const snapbackPath = join(directory, 'snapback-old');
  writeFileSync(snapbackPath, 'precious');
  await assert.rejects(apply(base, streamOf(randomWrites(1, 1, 100)), 100, snapbackPath), {
    code: 'OPEN_FAILED',
    message: /there already/,
  });
  assert.equal(readFileSync(snapbackPath, 'latin1'), 'precious');
  assert.ok(readFileSync(join(directory, `target-${files - 1}`)).equals(base));
});

test('when the stream is cut anywhere, then it is an error, except between two records', async () => {
  const stream = streamOf([
    [0, Buffer.alloc(10, 1)],
    [4096, Buffer.alloc(10, 2)],
  ]);
  const whole = new Set([17, 17 + 22, 17 + 44]);
  for (let length = 0; length <= stream.length; length++) {
    const applied = apply(base, stream.subarray(0, length), 64);
    if (whole.has(length)) await applied;
    else await assert.rejects(applied, { code: length === 0 ? 'STREAM_TRUNCATED' : /^STREAM_/ });
  }
});

test('when nothing changed, then the empty stream of 17 bytes changes nothing', async () => {
  assert.ok((await apply(base, streamOf([]), 64)).equals(base));
});
