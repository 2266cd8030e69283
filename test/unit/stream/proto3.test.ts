import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBatch } from '#lvmsync/block/batch.js';
import { createProto3Decoder, writeProto3Header } from '#lvmsync/stream/proto3.js';

const LIMIT_BYTES = 2 ** 46;

function record(offset: number, data: Buffer): Buffer {
  const header = Buffer.alloc(12);
  writeProto3Header(header, 0, offset, data.length);
  return Buffer.concat([header, data]);
}

function decodeWhole(bytes: Buffer, limitBytes = LIMIT_BYTES) {
  const decoder = createProto3Decoder(limitBytes);
  const batch = createBatch(bytes, 16);
  const rest = bytes.length - decoder.decode(batch, 0, bytes.length);
  const pieces = Array.from({ length: batch.count }, (_, i) => [
    batch.offsets[i]!,
    batch.lengths[i]!,
    batch.positions[i]!,
  ]);
  return { decoder, pieces, rest };
}

test('when a header is written, then it is u64 offset and u32 length, big-endian', () => {
  const header = Buffer.alloc(12);
  writeProto3Header(header, 0, 0x0001_0203_0405_0600, 0x0a0b0c0d);
  assert.equal(header.toString('hex'), '0001020304050600' + '0a0b0c0d');
});

test('when records are whole, then each is a piece at its place in the buffer', () => {
  const bytes = Buffer.concat([record(2 ** 45, Buffer.alloc(5)), record(7, Buffer.alloc(3))]);
  const { decoder, pieces, rest } = decodeWhole(bytes);
  assert.deepEqual(pieces, [
    [2 ** 45, 5, 12],
    [7, 3, 29],
  ]);
  assert.equal(rest, 0);
  assert.equal(decoder.recordCount, 2);
  decoder.finish(rest);
});

test('when a record has no data, then it is counted and gives no piece', () => {
  const { decoder, pieces } = decodeWhole(record(4096, Buffer.alloc(0)));
  assert.deepEqual(pieces, []);
  assert.equal(decoder.recordCount, 1);
});

test('when a record is cut, then what is there up to a page boundary is taken and the rest kept', () => {
  const { decoder, pieces, rest } = decodeWhole(
    record(4096, Buffer.alloc(10000)).subarray(0, 9012),
  );
  assert.deepEqual(pieces, [[4096, 8192, 12]]);
  assert.equal(rest, 808);
  assert.throws(() => decoder.finish(rest), {
    code: 'STREAM_TRUNCATED',
    message: /inside record 0: 1000 bytes/,
  });
});

test('when the stream ends inside a header, then that is an error', () => {
  const { decoder, rest } = decodeWhole(record(0, Buffer.alloc(8)).subarray(0, 11));
  assert.throws(() => decoder.finish(rest), { code: 'STREAM_TRUNCATED', message: /header/ });
});

test('when a record ends beyond the limit by one byte, then it is refused', () => {
  const bytes = record(4096, Buffer.alloc(4096));
  assert.doesNotThrow(() => decodeWhole(bytes, 8192));
  assert.throws(() => decodeWhole(bytes, 8191), { code: 'PAST_END', offset: 4096 });
});

test('when an offset is beyond what a number can hold, then it is refused', () => {
  const bytes = record(0, Buffer.alloc(1));
  bytes.fill(0xff, 0, 8);
  assert.throws(() => decodeWhole(bytes), { code: 'PAST_END' });
});

test('when the batch is full, then decoding stops there and can go on', () => {
  const bytes = Buffer.concat(Array.from({ length: 40 }, (_, i) => record(i * 8, Buffer.alloc(8))));
  const decoder = createProto3Decoder(LIMIT_BYTES);
  const counts = [];
  for (let position = 0; position < bytes.length; ) {
    const batch = createBatch(bytes, 16);
    position = decoder.decode(batch, position, bytes.length);
    counts.push(batch.count);
  }
  assert.deepEqual(counts, [16, 16, 8]);
});
