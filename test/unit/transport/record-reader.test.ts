import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createJsEngine } from '#lvmsync/block/js-engine.js';
import { crc32c } from '#lvmsync/checksum/crc32c.js';
import type { ByteSource } from '#lvmsync/stream/bytes.js';
import { createRecordReader } from '#lvmsync/transport/record-reader.js';
import { encodeRecord, TYPE } from '../../support/proto4.js';
import { createRandom, type Random } from '../../support/random.js';

const engine = createJsEngine();

/** Hands out the bytes in pieces of random length. */
function pieces(bytes: Buffer, random: Random): ByteSource {
  let position = 0;
  return {
    description: 'the test',
    async read(into) {
      const length = bytes.copy(into, 0, position, position + 1 + random.below(100));
      position += length;
      return length;
    },
  };
}

/** The same, for who wants the checksum with them. */
function checkedPieces(bytes: Buffer, random: Random): ByteSource {
  const source = pieces(bytes, random);
  return {
    ...source,
    async readChecked(into, crcSeed) {
      const length = await source.read(into);
      return { bytes: length, crc: crc32c(into.subarray(0, length), crcSeed) };
    },
  };
}

const DATA = encodeRecord(TYPE.data, [[4096, 600]], Buffer.alloc(600, 'data'));
const FUTURE = encodeRecord(222, [[1, 2]], Buffer.alloc(5000, 'who knows'));

for (const [how, sourceOf] of [
  ['by itself', pieces],
  ['with the bytes', checkedPieces],
] as const) {
  function readerOf(...records: Buffer[]) {
    return createRecordReader(sourceOf(Buffer.concat(records), createRandom(1)), engine);
  }

  describe(`records whose checksum comes ${how}`, () => {
    test('when a body is read then the payload lies where it was asked for, the prologue before it', async () => {
      const reader = readerOf(DATA);
      const header = await reader.nextHeader();
      assert.equal(header?.type, TYPE.data);
      const into = Buffer.alloc(8192, 0xee);
      const { prologue, payload } = await reader.readBody(into, 4096);
      assert.ok(prologue.equals(DATA.subarray(0, 40)));
      assert.ok(payload.equals(DATA.subarray(40)));
      assert.ok(into.subarray(4096, 4696).equals(payload));
      assert.ok(into.subarray(0, 4056).equals(Buffer.alloc(4056, 0xee)), 'nothing before it');
      assert.ok(into.subarray(4696).equals(Buffer.alloc(3496, 0xee)), 'nothing behind it');
      assert.equal(await reader.nextHeader(), undefined);
    });

    test('when records of unknown types may be skipped then they are, wherever they stand', async () => {
      const reader = readerOf(FUTURE, FUTURE, DATA, FUTURE);
      assert.equal((await reader.nextHeader())?.type, TYPE.data);
      await reader.readBody(Buffer.alloc(8192), 4096);
      assert.equal(await reader.nextHeader(), undefined);
    });

    test('when what is skipped is damaged then that is no reason to overlook it', async () => {
      const damaged = Buffer.from(FUTURE);
      damaged[1000]! ^= 1;
      await assert.rejects(readerOf(damaged, DATA).nextHeader(), { code: 'STREAM_DAMAGED' });
    });

    test('when the stream ends inside a record then it is truncated, between two it is not', async () => {
      for (let length = 0; length <= DATA.length; length++) {
        const reader = readerOf(DATA.subarray(0, length));
        const read = async () => {
          const header = await reader.nextHeader();
          if (header !== undefined) await reader.readBody(Buffer.alloc(8192), 4096);
        };
        if (length === 0 || length === DATA.length) await read();
        else await assert.rejects(read(), { code: 'STREAM_TRUNCATED' });
      }
    });

    test('when any byte of table or payload is changed then the checksum tells', async () => {
      for (let at = 32; at < DATA.length; at++) {
        const damaged = Buffer.from(DATA);
        damaged[at]! ^= 0x10;
        const reader = readerOf(damaged);
        await reader.nextHeader();
        await assert.rejects(reader.readBody(Buffer.alloc(8192), 4096), { code: 'STREAM_DAMAGED' });
      }
    });
  });
}

test('when a header lies of a payload that never comes then no more is asked for than may come', async () => {
  let largest = 0;
  const bytes = encodeRecord(222, [], Buffer.alloc(0), { payloadBytes: 2 ** 32 - 1 });
  const source = pieces(bytes, createRandom(2));
  const reader = createRecordReader(
    {
      description: 'the test',
      read(into) {
        largest = Math.max(largest, into.length);
        return source.read(into);
      },
    },
    engine,
  );
  await assert.rejects(reader.nextHeader(), { code: 'STREAM_DAMAGED' });
  assert.equal(largest, 32);
});
