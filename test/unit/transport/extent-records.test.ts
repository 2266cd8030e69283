import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { ExtentSource } from '#lvmsync/extents/extents.js';
import { extentsOfList } from '#lvmsync/extents/from.js';
import { loadEngine } from '#lvmsync/index.js';
import { streamSource } from '#lvmsync/transport/byte-source.js';
import { readExtents, writeExtents } from '#lvmsync/transport/extent-records.js';
import { createRecordReader } from '#lvmsync/transport/record-reader.js';
import { createStreamWriter } from '#lvmsync/transport/stream-writer.js';
import { encodeRecord, TYPE } from '../../support/proto4.js';
import { createRandom } from '../../support/random.js';

const TIB = 2 ** 40;
const { engine } = loadEngine('js');

function readerOf(stream: PassThrough) {
  return createRecordReader(streamSource(stream, 'the other end'), engine);
}

async function passOn(
  list: [number, number][],
  volumeBytes: number,
  blockBytes: number,
): Promise<[number, number][]> {
  const stream = new PassThrough({ highWaterMark: 1 << 30 });
  await writeExtents(createStreamWriter(stream), extentsOfList(list));
  stream.end();
  return listOf(await readExtents(readerOf(stream), { volumeBytes, blockBytes }));
}

function listOf(extents: ExtentSource): [number, number][] {
  const list: [number, number][] = [];
  for (const { count, offsets, lengths } of extents.slices()) {
    for (let i = 0; i < count; i++) list.push([offsets[i]!, lengths[i]!]);
  }
  return list;
}

test('when a list is passed on then it arrives as it was, however long and far apart', async () => {
  const random = createRandom(1);
  const scattered: [number, number][] = [];
  for (let offset = 0; scattered.length < 1000; ) {
    offset += 4096 * (1 + random.below(500));
    const length = 4096 * (1 + random.below(3));
    scattered.push([offset, length]);
    offset += length;
  }
  for (const list of [
    [],
    scattered,
    [[0, 4096]],
    // A gap that no table can say, and a last block that is a short one.
    [
      [0, 4096],
      [4 * TIB, 8192 - 100],
    ],
  ] as [number, number][][]) {
    assert.deepEqual(await passOn(list, 4 * TIB + 8192 - 100, 4096), list);
  }
});

test('when an extent is longer than a table can say then it is put together again', async () => {
  const list: [number, number][] = [[0, 5 * TIB + 512]];
  assert.deepEqual(await passOn(list, 5 * TIB + 512, 2 ** 30), list);
});

test('when a list goes beyond the volume, breaks off, or is none then that is damage', async () => {
  const empty = encodeRecord(TYPE.extents, []);
  for (const [code, ...records] of [
    ['PAST_END', encodeRecord(TYPE.extents, [[4096, 8192]]), empty],
    ['STREAM_DAMAGED', encodeRecord(TYPE.extents, [[0, 4096]])],
    ['STREAM_DAMAGED', encodeRecord(TYPE.data, [[0, 4096]], Buffer.alloc(4096)), empty],
    ['STREAM_DAMAGED', encodeRecord(TYPE.extents, [[0, 4096]], Buffer.alloc(100)), empty],
  ] as const) {
    const stream = new PassThrough();
    for (const record of records) stream.write(record);
    stream.end();
    const limits = { volumeBytes: 8192, blockBytes: 4096 };
    await assert.rejects(readExtents(readerOf(stream), limits), { code });
  }
});
