import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { Batch, Ranges } from '#lvmsync/block/batch.js';
import type { BlockFile } from '#lvmsync/block/engine.js';
import { createJsEngine } from '#lvmsync/block/js-engine.js';
import { createRecordApplier, type RecordApplier } from '#lvmsync/receive/record-applier.js';
import { createDeferred } from '#lvmsync/send/deferred.js';
import { streamSource } from '#lvmsync/transport/byte-source.js';
import { createRecordReader } from '#lvmsync/transport/record-reader.js';
import { countLeases } from '../../support/leases.js';
import { applied, type Extent, encodeRecord, TYPE } from '../../support/proto4.js';
import { createRandom } from '../../support/random.js';

const SIZE_BYTES = 4 << 20;
const KIB = 1024;
const engine = createJsEngine();
const random = createRandom(11);

type Call = 'write' | 'zero' | 'discard';

/** A target in memory, and how many ranges each call had. */
function memoryTarget(writesZeroesBelow: number) {
  const image = random.bytes(SIZE_BYTES);
  const base = Buffer.from(image);
  const calls: [Call, number][] = [];
  function clear(call: Call, { count, offsets, lengths }: Ranges): Promise<void> {
    calls.push([call, count]);
    for (let i = 0; i < count; i++) image.fill(0, offsets[i]!, offsets[i]! + lengths[i]!);
    return Promise.resolve();
  }
  const target: BlockFile = {
    ...{ path: 'memory', kind: 'file', sizeBytes: SIZE_BYTES, blockBytes: 512, writesZeroesBelow },
    read: () => Promise.reject(new Error('nothing is to be read')),
    async write({ buffer, count, offsets, lengths, positions }: Batch) {
      calls.push(['write', count]);
      await Promise.resolve(); // the buffer must still be ours
      for (let i = 0; i < count; i++) {
        buffer.copy(image, offsets[i]!, positions[i]!, positions[i]! + lengths[i]!);
      }
    },
    zero: (ranges) => clear('zero', ranges),
    discard: (ranges) => clear('discard', ranges),
    flush: async () => {},
    close: async () => {},
  };
  return { target, image, base, calls };
}

async function applyAll(applier: RecordApplier, records: readonly Buffer[]) {
  const link = applier.openLink();
  const source = streamSource(Readable.from(records, { objectMode: false }), 'the test');
  const reader = createRecordReader(source, engine);
  for (;;) {
    const header = await reader.nextHeader();
    if (header === undefined) return link;
    await link.apply(header, reader);
  }
}

function dataRecord(...extents: Extent[]): Buffer {
  return encodeRecord(TYPE.data, extents, random.bytes(extents.reduce((sum, [, n]) => sum + n, 0)));
}

const zeroRecord = (...extents: Extent[]) => encodeRecord(TYPE.zero, extents);

/** Every other block of 4 KiB from an offset on. */
function everyOther(offset: number, count: number): Extent[] {
  return Array.from({ length: count }, (_, i): Extent => [offset + i * 8192, 4096]);
}

for (const [name, records] of [
  ['before', [zeroRecord(...everyOther(0, 100)), dataRecord(...everyOther(4096, 100))]],
  ['after', [dataRecord(...everyOther(0, 100)), zeroRecord(...everyOther(4096, 100))]],
] as const) {
  test(`when short zeroes come ${name} the data that they lie between then both are one write`, async () => {
    const { target, image, base, calls } = memoryTarget(64 * KIB);
    const applier = createRecordApplier({ target, engine });
    await applyAll(applier, records);
    await applier.finish();
    assert.deepEqual(calls, [['write', 200]]);
    assert.ok(image.equals(applied(base, records)));
  });
}

test('when a target must not be written zeroes to without looking then they are zeroed by themselves', async () => {
  const { target, image, base, calls } = memoryTarget(0);
  const records = [dataRecord(...everyOther(0, 100)), zeroRecord(...everyOther(4096, 100))];
  const applier = createRecordApplier({ target, engine });
  await applyAll(applier, records);
  await applier.finish();
  assert.deepEqual(calls, [
    ['write', 100],
    ['zero', 100],
  ]);
  assert.ok(image.equals(applied(base, records)));
});

test('when some of the zeroes are long then these are zeroed and the short ones written', async () => {
  const { target, image, base, calls } = memoryTarget(64 * KIB);
  const records = [
    dataRecord([0, 4096], [512 * KIB, 4096]),
    zeroRecord([4096, 4096], [64 * KIB, 64 * KIB]),
  ];
  const applier = createRecordApplier({ target, engine });
  await applyAll(applier, records);
  await applier.finish();
  assert.deepEqual(calls, [
    ['write', 3],
    ['zero', 1],
  ]);
  assert.ok(image.equals(applied(base, records)));
});

test('when a record waits for its other half then a checkpoint and the end of its link start it', async () => {
  for (const end of ['checkpoint', 'link'] as const) {
    const { target, image, base, calls } = memoryTarget(64 * KIB);
    const applier = createRecordApplier({ target, engine });
    const records = [dataRecord([8192, 4096])];
    const link = await applyAll(applier, records);
    assert.deepEqual(calls, []);
    if (end === 'link') link.end();
    assert.equal(await applier.checkpoint(), 8192);
    assert.ok(image.equals(applied(base, records)));
  }
});

test('when records of all kinds come over several links then the target is as if they had come one by one', async () => {
  for (let round = 0; round < 30; round++) {
    const below = random.pick([0, 64 * KIB, Number.POSITIVE_INFINITY]);
    const { target, image, base } = memoryTarget(below);
    const links: Buffer[][] = [[], [], []];
    for (let offset = 0; offset < SIZE_BYTES - 64 * KIB; ) {
      const type = random.pick([TYPE.data, TYPE.zero, TYPE.zero, TYPE.data, TYPE.discard]);
      const longest = type === TYPE.data ? 40 : 300;
      const extents: Extent[] = [];
      for (let count = 1 + random.below(20); count > 0; count--) {
        const length = Math.min(512 * (1 + random.below(longest)), SIZE_BYTES - offset);
        if (length > 0) extents.push([offset, length]);
        offset += length + 512 * random.below(3);
      }
      const within = extents.filter(([start, length]) => start + length <= SIZE_BYTES);
      if (within.length === 0) break;
      const record = type === TYPE.data ? dataRecord(...within) : encodeRecord(type, within);
      random.pick(links).push(record);
    }
    const applier = createRecordApplier({ target, engine });
    await Promise.all(links.map((records) => applyAll(applier, records)));
    await applier.finish();
    assert.ok(image.equals(applied(base, links.flat())), `round ${round}`);
    assert.equal(applier.totals().records, links.flat().length);
  }
});

test('when it may not begin yet then records are read and nothing is changed', async () => {
  const { target, image, base, calls } = memoryTarget(0);
  const beginning = createDeferred();
  const applier = createRecordApplier({ target, engine, begin: () => beginning.promise });
  const records = [dataRecord([0, 4096]), zeroRecord([8192, 4096])];
  await applyAll(applier, records);
  assert.equal(applier.records, 2);
  await new Promise(setImmediate);
  assert.deepEqual(calls, []);
  beginning.resolve();
  await applier.finish();
  assert.ok(image.equals(applied(base, records)));
});

test('when it cannot begin then nothing is changed, and the reason comes out', async () => {
  const { target, calls } = memoryTarget(0);
  const begin = () => Promise.reject(new Error('no place to remember it'));
  const applier = createRecordApplier({ target, engine, begin });
  await applyAll(applier, [dataRecord([0, 4096])]);
  await assert.rejects(applier.finish(), /no place to remember it/);
  assert.deepEqual(calls, []);
});

test('when nothing more is to be applied then the buffers have been given back', async () => {
  const counted = countLeases(engine);
  const { target } = memoryTarget(0);
  const applier = createRecordApplier({ target, engine: counted.engine });
  await applyAll(applier, [dataRecord([0, 4096]), dataRecord([8192, 4096])]);
  assert.ok(counted.leased.size > 0);
  await applier.settle();
  assert.equal(counted.leased.size, 0);
});
