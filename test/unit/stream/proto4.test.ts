import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc32c } from '#lvmsync/checksum/crc32c.js';
import { encodeMessage } from '#lvmsync/stream/message-encoder.js';
import {
  createTable,
  fitsTable,
  isSkippable,
  RECORD,
  type RecordHeader,
  readRecordHeader,
  readTable,
  type TableExtents,
  writeRecordHeader,
  writeTable,
} from '#lvmsync/stream/proto4.js';
import { encodeTableRecord } from '#lvmsync/stream/table-record.js';
import { decodeRecord, type Extent, encodeRecord, type Lies, TYPE } from '../../support/proto4.js';
import { createRandom } from '../../support/random.js';

const MOST_BYTES = 4 << 20;

function tableOf(extents: readonly Extent[]): TableExtents {
  return {
    count: extents.length,
    offsets: Float64Array.from(extents, ([offset]) => offset),
    lengths: Uint32Array.from(extents, ([, length]) => length),
  };
}

function listOf({ count, offsets, lengths }: TableExtents): Extent[] {
  return Array.from({ length: count }, (_, i) => [offsets[i]!, lengths[i]!]);
}

/** Header and table of a record, read by the code under test. */
function read(record: Buffer, limitBytes = Number.MAX_SAFE_INTEGER) {
  const header = readRecordHeader(record, 0);
  const table = createTable();
  const totalBytes = readTable(record, 32, header, limitBytes, table);
  return { header, extents: listOf(table), totalBytes };
}

describe('the layout of a record', () => {
  test('when a DATA record is written then its bytes are these', () => {
    const payload = Buffer.from(Array.from({ length: 4608 }, (_, i) => (i * 7) % 256));
    const extents = tableOf([
      [2 ** 40 + 4096, 4096],
      [2 ** 40 + 12288, 512],
    ]);
    const record = encodeTableRecord(RECORD.data, extents, payload);
    assert.equal(
      record.toString('hex', 0, 48),
      '1000000200001200000001000000100000001200aed81806000000002342460b' +
        '00000000000010000000000800000200',
    );
    assert.ok(record.subarray(48).equals(payload));
  });

  test('when a ZERO record is written then its bytes are these', () => {
    const record = encodeTableRecord(RECORD.zero, tableOf([[512, 1 << 20]]));
    assert.equal(
      record.toString('hex'),
      '1100000100000000000000000000020000000000fc8acf00000000008d52d112' + '0000000000100000',
    );
  });

  test('when an ALIVE record is written then its bytes are these', () => {
    assert.equal(
      encodeMessage(RECORD.alive).toString('hex'),
      '810000000000000000000000000000000000000000000000000000007ac3050d',
    );
  });

  test('when a message is written then it is JSON with a checksum of its own', () => {
    const value = { code: 'X', message: 'ä\u0000"', hint: '' };
    const { type, payload, extents } = decodeRecord(encodeMessage(RECORD.refuse, value));
    assert.equal(type, TYPE.refuse);
    assert.deepEqual(extents, []);
    assert.deepEqual(JSON.parse(payload.toString()), value);
  });

  test('when a message would be longer than its limit then it is not written', () => {
    assert.throws(() => encodeMessage(RECORD.end, { text: 'x'.repeat(65_536) }), RangeError);
  });

  test('when random headers are written and read then they come back the same', () => {
    const random = createRandom(1);
    for (let round = 0; round < 2000; round++) {
      const payloadBytes = random.below(MOST_BYTES + 1);
      const header: RecordHeader = {
        type: RECORD.data,
        encoding: 0,
        extentCount: 1 + random.below(1024),
        payloadBytes,
        offset: random.below(2 ** 44) * 512,
        decodedBytes: payloadBytes,
        bodyCrc: random.uint32(),
      };
      const bytes = Buffer.alloc(64);
      writeRecordHeader(bytes, 7, header);
      assert.deepEqual(readRecordHeader(bytes, 7), header);
    }
  });

  test('when random tables are written and read then they come back the same', () => {
    const random = createRandom(2);
    for (let round = 0; round < 500; round++) {
      let end = random.below(2 ** 41) * 512;
      const extents = Array.from({ length: 1 + random.below(1024) }, (): Extent => {
        const gap = random.pick([0, 512, 4096, 512 * random.below(2 ** 32), 512 * (2 ** 32 - 1)]);
        const length = random.pick([512, 4096, 512 * (1 + random.below(2 ** 23 - 1))]);
        const offset = end + gap;
        end = offset + length;
        return [offset, length];
      }).filter(([offset, length]) => offset + length <= Number.MAX_SAFE_INTEGER);
      const record = encodeTableRecord(RECORD.zero, tableOf(extents));
      assert.deepEqual(read(record).extents, extents);
      assert.deepEqual(decodeRecord(record).extents, extents);
    }
  });

  test('when extents do not ascend, or lie too far apart, then no table is written of them', () => {
    const buffer = Buffer.alloc(64);
    const pair = (second: number) => ({
      count: 2,
      offsets: Float64Array.of(4096, second),
      lengths: Uint32Array.of(4096, 512),
    });
    for (const second of [4096, 0, 8192 + 512 * 2 ** 32]) {
      assert.throws(() => writeTable(buffer, 0, pair(second)), RangeError, `then ${second}`);
    }
    assert.equal(writeTable(buffer, 0, pair(8192 + 512 * (2 ** 32 - 1))), 16);
    assert.equal(buffer.readUInt32BE(8), 2 ** 32 - 1);
  });
});

describe('the limits of a record', () => {
  const refused = (record: Buffer, code = 'STREAM_DAMAGED', limitBytes?: number) =>
    assert.throws(() => read(record, limitBytes), { name: 'LvmsyncError', code });
  const lying = (type: number, lies: Lies, extents: Extent[] = []) =>
    encodeRecord(type, extents, Buffer.alloc(0), lies);

  test('when any bit of a header is flipped then its checksum tells', () => {
    const record = encodeRecord(TYPE.data, [[4096, 512]], Buffer.alloc(512));
    for (let bit = 0; bit < 256; bit++) {
      const flipped = Buffer.from(record);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      refused(flipped);
    }
  });

  test('when the table has 1024 extents then it is read, and 1025 are refused', () => {
    const extents = Array.from({ length: 1025 }, (_, i): Extent => [i * 1024, 512]);
    assert.equal(read(encodeRecord(TYPE.zero, extents.slice(1))).extents.length, 1024);
    refused(encodeRecord(TYPE.zero, extents));
  });

  test('when a payload is of 4 MiB then it is read, and one byte more is refused', () => {
    const most = { payloadBytes: MOST_BYTES, decodedBytes: MOST_BYTES };
    assert.equal(read(lying(TYPE.data, most, [[0, MOST_BYTES]])).header.payloadBytes, MOST_BYTES);
    refused(
      lying(TYPE.data, { payloadBytes: MOST_BYTES + 1, decodedBytes: MOST_BYTES + 1 }, [
        [0, MOST_BYTES],
      ]),
    );
    refused(
      lying(TYPE.data, { payloadBytes: 2 ** 32 - 1, decodedBytes: MOST_BYTES }, [[0, MOST_BYTES]]),
    );
  });

  test('when a payload would be decoded to more than 4 MiB then it is refused', () => {
    refused(
      lying(TYPE.data, { encoding: 1, payloadBytes: 9, decodedBytes: MOST_BYTES + 1 }, [
        [0, MOST_BYTES],
      ]),
    );
    refused(
      lying(TYPE.data, { encoding: 1, payloadBytes: 9, decodedBytes: 2 ** 31 }, [[0, MOST_BYTES]]),
    );
  });

  test('when a compressed payload is longer than what it decodes to then it is refused', () => {
    assert.ok(read(lying(TYPE.data, { encoding: 1, payloadBytes: 9, decodedBytes: 9 }, [[0, 9]])));
    refused(lying(TYPE.data, { encoding: 1, payloadBytes: 10, decodedBytes: 9 }, [[0, 9]]));
  });

  for (const type of [TYPE.hello, TYPE.accept, TYPE.refuse, TYPE.end, TYPE.receipt, TYPE.durable]) {
    test(`when a message of type ${type} is longer than 64 KiB then it is refused`, () => {
      const most = { payloadBytes: 65_536, decodedBytes: 65_536 };
      assert.equal(read(lying(type, most)).header.payloadBytes, 65_536);
      refused(lying(type, { payloadBytes: 65_537, decodedBytes: 65_537 }));
    });

    test(`when a message of type ${type} has a table then it is refused`, () => {
      refused(encodeRecord(type, [[0, 512]]));
    });
  }

  for (const type of [TYPE.data, TYPE.zero, TYPE.discard, TYPE.check]) {
    test(`when a record of type ${type} has no table then it is refused`, () => {
      refused(encodeRecord(type, []));
    });
  }

  test('when a CHECKED has no table then it says that all is well', () => {
    assert.deepEqual(read(encodeRecord(TYPE.checked, [])).extents, []);
  });

  test('when the encoding is unknown, or of what is never encoded, then it is refused', () => {
    for (const encoding of [2, 3, 255]) refused(lying(TYPE.data, { encoding }, [[0, 512]]));
    for (const type of [TYPE.zero, TYPE.check]) refused(lying(type, { encoding: 1 }, [[0, 512]]));
    refused(lying(TYPE.end, { encoding: 1 }));
  });

  test('when a plain payload claims another length then it is refused', () => {
    refused(lying(TYPE.data, { payloadBytes: 511, decodedBytes: 512 }, [[0, 512]]));
  });

  test('when the bytes that have to be zero are not then it is refused', () => {
    refused(lying(TYPE.alive, { reserved: 1 }));
  });

  test('when an offset is not a multiple of 512 then it is refused', () => {
    refused(lying(TYPE.zero, { offset: 511n }, [[0, 512]]));
    refused(lying(TYPE.zero, { offset: 1n }, [[0, 512]]));
  });

  test('when there is an offset without a table then it is refused', () => {
    refused(lying(TYPE.alive, { offset: 512n }));
  });

  test('when an offset is more than a number can count then it is refused', () => {
    for (const offset of [2n ** 53n, 2n ** 63n, 2n ** 64n - 512n]) {
      refused(lying(TYPE.zero, { offset }, [[0, 512]]));
    }
  });

  test('when an extent has no length then it is refused', () => {
    refused(encodeRecord(TYPE.zero, [[0, 0]]));
    refused(
      encodeRecord(TYPE.zero, [
        [0, 512],
        [1024, 0],
      ]),
    );
  });

  test('when the first extent has a gap before it then it is refused', () => {
    refused(lying(TYPE.zero, { table: Buffer.from('0000000100000200', 'hex') }, [[0, 512]]));
  });

  test('when an extent ends at the end of the target then it is read, and beyond is refused', () => {
    const record = encodeRecord(TYPE.zero, [
      [0, 512],
      [4096, 100],
    ]);
    assert.equal(read(record, 4196).totalBytes, 612);
    refused(record, 'PAST_END', 4195);
    refused(record, 'PAST_END', 0);
    const far = Buffer.alloc(256 * 8, 0xff);
    far.writeUInt32BE(0, 0);
    const extents = Array.from({ length: 256 }, (): Extent => [0, 1]);
    const offset = BigInt(Number.MAX_SAFE_INTEGER - 511);
    refused(lying(TYPE.zero, { table: far, offset }, extents), 'PAST_END', 2 ** 53 - 1);
  });
});

describe('types that are not known', () => {
  const known = new Set<number>(Object.values(TYPE));

  test('when the high bit is not set then the stream is unknown', () => {
    for (let type = 0; type < 128; type++) {
      if (known.has(type)) continue;
      assert.equal(isSkippable(type), false);
      assert.throws(() => readRecordHeader(encodeRecord(type, []), 0), { code: 'STREAM_UNKNOWN' });
    }
  });

  test('when the high bit is set then they may be skipped, table and payload included', () => {
    for (let type = 128; type < 256; type++) {
      if (known.has(type)) continue;
      assert.equal(isSkippable(type), true);
      const record = encodeRecord(type, [[513, 9]], Buffer.alloc(100), { encoding: 7 });
      assert.equal(readRecordHeader(record, 0).type, type);
    }
    for (const type of known) assert.equal(isSkippable(type), false);
  });

  test('when a record to be skipped claims more than any may have then it is refused', () => {
    const claims = { payloadBytes: MOST_BYTES + 1, decodedBytes: MOST_BYTES + 1 };
    assert.throws(() => readRecordHeader(encodeRecord(200, [], Buffer.alloc(0), claims), 0), {
      code: 'STREAM_DAMAGED',
    });
  });
});

test('when extents are not ascending, too far apart or at odd places then they fit no table', () => {
  const farthest = 512 * (2 ** 32 - 1);
  assert.ok(fitsTable(4096, 4096));
  assert.ok(fitsTable(4096, 4096 + farthest));
  assert.ok(!fitsTable(4096, 4096 + farthest + 512));
  assert.ok(!fitsTable(4096, 3584));
  assert.ok(!fitsTable(4096, 4097));
  assert.ok(!fitsTable(100, 4096));
});

test('when a table is written at a place then nothing else is touched', () => {
  const buffer = Buffer.alloc(64, 0xaa);
  const bytes = writeTable(
    buffer,
    16,
    tableOf([
      [512, 512],
      [2048, 100],
    ]),
  );
  assert.equal(bytes, 16);
  assert.ok(buffer.subarray(0, 16).equals(Buffer.alloc(16, 0xaa)));
  assert.ok(buffer.subarray(32).equals(Buffer.alloc(32, 0xaa)));
  assert.equal(crc32c(buffer.subarray(16, 32)), crc32c(encodeTableRecordTable()));
});

function encodeTableRecordTable(): Buffer {
  const record = encodeRecord(TYPE.zero, [
    [512, 512],
    [2048, 100],
  ]);
  return record.subarray(32);
}
