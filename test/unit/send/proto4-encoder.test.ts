import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createBatch } from '#lvmsync/block/batch.js';
import { loadEngine } from '#lvmsync/block/engines.js';
import type { ExtentSource } from '#lvmsync/extents/extents.js';
import {
  type Compress,
  createProto4Encoder,
  type Proto4EncoderOptions,
} from '#lvmsync/send/proto4-encoder.js';
import { createTransferDigest } from '#lvmsync/stream/digest.js';
import {
  decodeRecord,
  type Extent,
  type TestRecord,
  TYPE,
  totalsOf,
} from '../../support/proto4.js';
import { createRandom, type Random } from '../../support/random.js';

const KIB = 1024;
const MIB = KIB * KIB;
const TIB = MIB * MIB;

/** What an offset holds; a volume of any size without its bytes. */
type Content = (offset: number, into: Buffer) => void;

function extentsOf(ranges: readonly Extent[]): ExtentSource {
  const slice = {
    count: ranges.length,
    offsets: Float64Array.from(ranges, ([offset]) => offset),
    lengths: Float64Array.from(ranges, ([, length]) => length),
  };
  return {
    totalBytes: ranges.reduce((sum, [, length]) => sum + length, 0),
    extentCount: ranges.length,
    slices: () => [slice],
  };
}

/** All records of the extents, in order, and proof that the digest and the counts are theirs. */
async function encodeAll(
  engineName: 'js' | 'native',
  ranges: readonly Extent[],
  content: Content,
  more: Pick<Proto4EncoderOptions, 'compress' | 'recordBytes'> & { discarded?: Extent[] } = {},
): Promise<TestRecord[]> {
  const { engine } = loadEngine(engineName);
  const digest = createTransferDigest();
  const encoder = createProto4Encoder({
    ...more,
    extents: extentsOf(ranges),
    discarded: extentsOf(more.discarded ?? []),
    engine,
    digest,
  });
  const records: Buffer[] = [];
  let dataBytes = 0;
  let recordCount = 0;
  for (;;) {
    const batch = createBatch(engine.allocate(encoder.bufferBytes), 256);
    batch.buffer.fill(0xdb);
    if (!encoder.layOut(batch)) break;
    for (let i = 0; i < batch.count; i++) {
      const position = batch.positions[i]!;
      content(batch.offsets[i]!, batch.buffer.subarray(position, position + batch.lengths[i]!));
    }
    const sealed = await encoder.seal(batch);
    const bytes = Buffer.concat(sealed.bytes);
    for (let at = 0; at < bytes.length; ) {
      const end = at + 32 + bytes.readUInt16BE(at + 2) * 8 + bytes.readUInt32BE(at + 4);
      records.push(bytes.subarray(at, end));
      at = end;
    }
    dataBytes += sealed.dataBytes;
    recordCount += sealed.recordCount;
  }
  assert.deepEqual({ records: recordCount, dataBytes, digest: digest.hex() }, totalsOf(records));
  return records.map(decodeRecord);
}

const ones: Content = (_, into) => into.fill(1);
const zeroes: Content = (_, into) => into.fill(0);

/** Type and extents of each record. */
function outline(records: readonly TestRecord[]) {
  return records.map(({ type, extents }) => [type, extents]);
}

for (const engine of ['js', 'native'] as const) {
  test(`${engine}: when extents were discarded then DISCARD records have them, and they are not read`, async () => {
    const GIB = 1024 * MIB;
    const unread: Content = (offset, into) => {
      assert.ok(offset === 0 || offset === 3 * GIB, `offset ${offset} is read`);
      into.fill(1);
    };
    const ranges: Extent[] = [
      [0, 3 * GIB + 64 * KIB],
      [4 * TIB, 4096],
    ];
    const discarded: Extent[] = [
      [64 * KIB, 3 * GIB - 64 * KIB],
      [4 * TIB, 4096],
    ];
    assert.deepEqual(outline(await encodeAll(engine, ranges, unread, { discarded })), [
      [
        TYPE.data,
        [
          [0, 64 * KIB],
          [3 * GIB, 64 * KIB],
        ],
      ],
      [
        TYPE.discard,
        [
          [64 * KIB, GIB - 64 * KIB],
          [GIB, GIB],
          [2 * GIB, GIB],
        ],
      ],
      [TYPE.discard, [[4 * TIB, 4096]]],
    ]);
  });

  test(`${engine}: when data, zeroes and discards are mixed then every byte is in one record, and records ascend`, async () => {
    const random = createRandom(31);
    const ranges: Extent[] = [];
    const discarded: Extent[] = [];
    const kindOf = new Map<number, number>();
    for (let chunk = 0; chunk < 4000; chunk += 1 + random.below(3)) {
      ranges.push([chunk * 64 * KIB, 64 * KIB]);
      const kind = random.pick([TYPE.data, TYPE.zero, TYPE.discard]);
      kindOf.set(chunk, kind);
      if (kind === TYPE.discard) discarded.push([chunk * 64 * KIB, 64 * KIB]);
    }
    const content: Content = (offset, into) => {
      assert.notEqual(kindOf.get(offset / (64 * KIB)), TYPE.discard);
      into.fill(kindOf.get(offset / (64 * KIB)) === TYPE.zero ? 0 : 1);
    };
    const seen = new Map<number, number>();
    let previous = 0;
    for (const { type, extents } of await encodeAll(engine, ranges, content, { discarded })) {
      assert.ok(extents[0]![0] >= previous, 'the records do not ascend');
      previous = extents[0]![0];
      for (const [offset, length] of extents) {
        for (let at = offset; at < offset + length; at += 64 * KIB) {
          assert.ok(!seen.has(at / (64 * KIB)));
          seen.set(at / (64 * KIB), type);
        }
      }
    }
    const sorted = (map: Map<number, number>) => [...map].sort(([a], [b]) => a - b);
    assert.deepEqual(sorted(seen), sorted(kindOf));
  });

  describe(`PROTO[4] records with the ${engine} engine`, () => {
    const encode = (ranges: readonly Extent[], content: Content, compress?: Compress) =>
      encodeAll(engine, ranges, content, { compress });

    test('when there are no extents then there are no records', async () => {
      assert.deepEqual(await encode([], ones), []);
    });

    test('when 300 chunks of 4 KiB lie apart then 256 share a record', async () => {
      const ranges = Array.from({ length: 300 }, (_, i): Extent => [i * 8192, 4096]);
      assert.deepEqual(outline(await encode(ranges, ones)), [
        [TYPE.data, ranges.slice(0, 256)],
        [TYPE.data, ranges.slice(256)],
      ]);
    });

    test('when an extent is longer than a record then it is cut at 4 MiB', async () => {
      const records = await encode([[MIB, 8 * MIB + 4096]], ones);
      assert.deepEqual(outline(records), [
        [TYPE.data, [[MIB, 4 * MIB]]],
        [TYPE.data, [[5 * MIB, 4 * MIB]]],
        [TYPE.data, [[9 * MIB, 4096]]],
      ]);
    });

    test('when records are to be shorter from some time on then they are', async () => {
      let asked = 0;
      const recordBytes = () => (asked++ < 3 ? 4 * MIB : MIB);
      const records = await encodeAll(engine, [[0, 10 * MIB]], ones, { recordBytes });
      assert.deepEqual(outline(records), [
        [TYPE.data, [[0, 4 * MIB]]],
        [TYPE.data, [[4 * MIB, 4 * MIB]]],
        [TYPE.data, [[8 * MIB, MIB]]],
        [TYPE.data, [[9 * MIB, MIB]]],
      ]);
    });

    test('when everything is zero then no data travels', async () => {
      const records = await encode([[0, 10 * MIB]], zeroes);
      assert.equal(records.length, 3);
      for (const { type, payload } of records) {
        assert.equal(type, TYPE.zero);
        assert.equal(payload.length, 0);
      }
    });

    test('when some blocks are zero then they leave the data, joined where they touch', async () => {
      const records = await encode([[0, 5 * 4096]], (_, into) => {
        into.fill(0);
        into[4096] = 1;
        into[4 * 4096 + 4095] = 2;
      });
      assert.deepEqual(outline(records), [
        [
          TYPE.zero,
          [
            [0, 4096],
            [8192, 8192],
          ],
        ],
        [
          TYPE.data,
          [
            [4096, 4096],
            [16384, 4096],
          ],
        ],
      ]);
      const { payload } = records[1]!;
      assert.deepEqual([payload[0], payload[8191], payload.indexOf(2)], [1, 2, 8191]);
    });

    test('when every other block is zero then both tables hold 512 extents', async () => {
      const records = await encode([[0, 4 * MIB]], (_, into) => {
        for (let at = 0; at < into.length; at++) into[at] = (at >> 12) & 1;
      });
      assert.deepEqual(
        records.map(({ type, extents }) => [type, extents.length]),
        [
          [TYPE.zero, 512],
          [TYPE.data, 512],
        ],
      );
    });

    test('when the last chunk is a part of one then it is sent, or zeroed, as that', async () => {
      const ranges: Extent[] = [
        [0, 4096],
        [65536, 1000],
      ];
      assert.deepEqual(outline(await encode(ranges, ones)), [[TYPE.data, ranges]]);
      assert.deepEqual(outline(await encode(ranges, zeroes)), [[TYPE.zero, ranges]]);
    });

    test('when chunks are of 512 bytes then they are sent', async () => {
      const ranges = Array.from({ length: 1000 }, (_, i): Extent => [i * 1536, 512]);
      const records = await encode(ranges, (offset, into) => into.fill(offset / 1536));
      assert.deepEqual(
        records.flatMap(({ extents }) => extents),
        ranges,
      );
      for (const { extents, payload } of records) {
        for (const [index, [offset]] of extents.entries()) {
          assert.equal(payload[index * 512], (offset / 1536) % 256);
        }
      }
    });

    test('when extents are more than 2 TiB apart then they go into records of their own', async () => {
      const farthest = 512 * (2 ** 32 - 1);
      const ranges: Extent[] = [
        [0, 4096],
        [4096 + farthest, 4096],
        [3 * TIB, 4096],
        [8 * TIB - 4096, 4096],
      ];
      const records = await encode(ranges, ones);
      assert.deepEqual(
        records.flatMap(({ extents }) => extents),
        ranges,
      );
    });

    test('when what lies between two far extents is zero then their gap still fits', async () => {
      const ranges: Extent[] = [
        [0, 4096],
        [1.5 * TIB, 4096],
        [3 * TIB, 4096],
        [4.5 * TIB, 4096],
      ];
      const records = await encode(ranges, (offset, into) => {
        into.fill(offset === 1.5 * TIB || offset === 3 * TIB ? 0 : 1);
      });
      const byType = (wanted: number) =>
        records.flatMap(({ type, extents }) => (type === wanted ? extents : []));
      assert.deepEqual(byType(TYPE.data), [ranges[0], ranges[3]]);
      assert.deepEqual(byType(TYPE.zero), [ranges[1], ranges[2]]);
    });

    test('when compression saves less than a sixteenth then the data goes as it is', async () => {
      const shrink =
        (by: number): Compress =>
        async (payload) =>
          payload.subarray(by);
      const [plain] = await encode([[0, 4096]], ones, shrink(255));
      assert.deepEqual([plain?.encoding, plain?.payload.length], [0, 4096]);
      const [packed] = await encode([[0, 4096]], ones, shrink(256));
      assert.deepEqual([packed?.encoding, packed?.payload.length], [1, 3840]);
      assert.equal(packed?.decodedBytes, 4096);
    });

    test('when random extents are encoded then decoding gives every byte back', async () => {
      for (let seed = 1; seed <= 30; seed++) {
        const random = createRandom(seed);
        const image = randomImage(random);
        const ranges = randomRanges(random, image.length);
        const records = await encode(ranges, (offset, into) => {
          image.copy(into, 0, offset, offset + into.length);
        });
        const rebuilt = Buffer.alloc(image.length, 0x99);
        const expected = Buffer.alloc(image.length, 0x99);
        for (const [offset, length] of ranges) {
          image.copy(expected, offset, offset, offset + length);
        }
        const covered: Extent[] = [];
        for (const { type, extents, payload } of records) {
          let position = 0;
          for (const [offset, length] of extents) {
            covered.push([offset, length]);
            if (type === TYPE.zero) rebuilt.fill(0, offset, offset + length);
            else payload.copy(rebuilt, offset, position, position + length);
            position += length;
          }
        }
        assert.ok(rebuilt.equals(expected), `seed ${seed}`);
        const total = covered.reduce((sum, [, length]) => sum + length, 0);
        const wanted = ranges.reduce((sum, [, length]) => sum + length, 0);
        assert.equal(total, wanted, `seed ${seed}: every byte once`);
      }
    });
  });
}

/** Random bytes with stretches of zeroes at odd and at even places. */
function randomImage(random: Random): Buffer {
  const image = Buffer.alloc(512 * (1 + random.below(8000)) + random.below(512));
  const pattern = random.bytes(4099);
  for (let at = 0; at < image.length; at += pattern.length) pattern.copy(image, at);
  for (let times = random.below(60); times > 0; times--) {
    const start = random.chance(0.5)
      ? random.below(image.length) & ~4095
      : random.below(image.length);
    const end = start + random.pick([1, 512, 4096, 8192, 100_000]);
    image.fill(0, start, Math.min(end, image.length));
  }
  return image;
}

/** Chunks of one size, ascending, as an exception store has them; touching ones joined. */
function randomRanges(random: Random, volumeBytes: number): Extent[] {
  const chunkBytes = random.pick([512, 4096, 8192, 65_536]);
  const ranges: [number, number][] = [];
  const density = random.pick([0.05, 0.5, 0.95]);
  for (let offset = 0; offset < volumeBytes; offset += chunkBytes) {
    if (!random.chance(density)) continue;
    const length = Math.min(chunkBytes, volumeBytes - offset);
    const last = ranges.at(-1);
    if (last !== undefined && last[0] + last[1] === offset) last[1] += length;
    else ranges.push([offset, length]);
  }
  return ranges;
}
