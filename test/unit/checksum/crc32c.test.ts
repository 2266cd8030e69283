import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { addPiece, createBatch } from '#lvmsync/block/batch.js';
import { loadEngine } from '#lvmsync/block/engines.js';
import { findEqualBlocks } from '#lvmsync/block/equal-blocks.js';
import { loadAddon } from '#lvmsync/block/installation.js';
import { findZeroBlocks } from '#lvmsync/block/zero-blocks.js';
import { crc32c, crc32cByTables } from '#lvmsync/checksum/crc32c.js';
import { createRandom } from '../../support/random.js';

/** RFC 3720, appendix B.4, and the polynomial's usual check value. */
const VECTORS: [string, Buffer, number][] = [
  ['nothing', Buffer.alloc(0), 0],
  ['123456789', Buffer.from('123456789'), 0xe3069283],
  ['32 bytes of zeroes', Buffer.alloc(32), 0x8a9136aa],
  ['32 bytes of ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
  ['32 incrementing bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
  ['32 decrementing bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c],
  [
    'an iSCSI read command',
    Buffer.from(
      '01c000000000000000000000000000001400000000000400000000140000001828000000000000000200000000000000',
      'hex',
    ),
    0xd9963a56,
  ],
];

/** A bit at a time, straight from the definition. */
function slowCrc32c(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

const native = loadEngine('native').engine;
const js = loadEngine('js').engine;
const addon = loadAddon() as { crc32cByTables(bytes: Buffer, seed: number): number };
const IMPLEMENTATIONS = {
  'the table': async (bytes: Buffer, seed?: number) => crc32cByTables(bytes, seed),
  'whoever has it at once': async (bytes: Buffer, seed?: number) => crc32c(bytes, seed),
  'the tables of the addon': async (bytes: Buffer, seed = 0) => addon.crc32cByTables(bytes, seed),
  'the js engine': js.crc32c,
  'the native engine': native.crc32c,
};

/** Lengths around every step that an implementation may take. */
const LENGTHS = [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 255, 1023, 1024, 3071, 3072, 4095]
  .concat([4096, 4097, 8191, 8192, 24_575, 24_576, 24_577, 65_535, 65_536, 100_003])
  .concat([(1 << 20) - 1, 1 << 20, (1 << 20) + 2080]);

for (const [name, implementation] of Object.entries(IMPLEMENTATIONS)) {
  describe(`CRC-32C by ${name}`, () => {
    for (const [what, bytes, crc] of VECTORS) {
      test(`when it is of ${what} then it is as published`, async () => {
        assert.equal(await implementation(bytes), crc);
      });
    }

    test('when lengths and alignments differ then each is as the definition has it', async () => {
      const random = createRandom(1);
      const memory = native.allocate(2 << 20);
      random.bytes(4096).copy(memory);
      for (let at = 4096; at < memory.length; at *= 2) memory.copyWithin(at, 0, at);
      for (let at = 0; at < memory.length; at += 1 + random.below(5000)) memory[at]! ^= 0x55;
      for (const length of LENGTHS) {
        const start = random.below(17);
        const bytes = memory.subarray(start, start + length);
        const crc = await implementation(bytes);
        assert.equal(crc, slowCrc32c(bytes), `${length} bytes from ${start}`);
        const cut = random.below(length + 1);
        const first = await implementation(bytes.subarray(0, cut));
        assert.equal(await implementation(bytes.subarray(cut), first), crc, `cut at ${cut}`);
      }
    });
  });
}

for (const engine of [js, native]) {
  test(`when blocks are zero, or the same, but for one byte then the ${engine.name} engine tells them apart`, async () => {
    const random = createRandom(2);
    for (const [bytes, blockBytes] of [
      [1 << 20, 4096],
      [100_001, 4096],
      [5000, 512],
      [4095, 4096],
      [70, 7],
      [0, 4096],
    ] as const) {
      const memory = Buffer.alloc(bytes + 3).subarray(3);
      const expected = new Uint8Array(Math.ceil(bytes / blockBytes)).fill(1);
      for (let block = 0; block < expected.length; block++) {
        if (random.chance(0.5)) continue;
        const start = block * blockBytes;
        const length = Math.min(blockBytes, bytes - start);
        const at = random.pick([0, length - 1, random.below(length)]);
        memory[start + at] = 1 << random.below(8);
        expected[block] = 0;
      }
      assert.deepEqual(await engine.findZeroBlocks(memory, blockBytes), expected);
      assert.deepEqual(findZeroBlocks(memory, blockBytes), expected);
      const other = random.bytes(bytes);
      const one = Buffer.from(other);
      for (let i = 0; i < bytes; i++) one[i]! ^= memory[i]!;
      assert.deepEqual(await engine.findEqualBlocks(one, other, blockBytes), expected);
      assert.deepEqual(findEqualBlocks(one, other, blockBytes), expected);
      const [oneHere, otherHere] = [engine.allocate(bytes + 1), engine.allocate(bytes + 1)];
      one.copy(oneHere);
      other.copy(otherHere);
      const [left, right] = [oneHere.subarray(0, bytes), otherHere.subarray(0, bytes)];
      assert.deepEqual(await engine.findEqualBlocks(left, right, blockBytes), expected);
    }
  });
}

for (const engine of [js, native]) {
  test(`when bytes are examined then the ${engine.name} engine answers their CRC, or which blocks are zero`, async () => {
    const random = createRandom(4);
    for (const [bytes, blockBytes] of [
      [1 << 20, 4096],
      [300_001, 4096],
      [100_003, 100_000],
      [5000, 512],
      [1, 4096],
      [0, 4096],
    ] as const) {
      for (const memory of [Buffer.alloc(bytes), engine.allocate(bytes + 1).subarray(0, bytes)]) {
        random.bytes(bytes).copy(memory);
        const seed = random.below(2 ** 32);
        const blockCount = Math.ceil(bytes / blockBytes);
        for (let start = 0; start < bytes; start += blockBytes) memory[start] = 1;
        assert.equal(await engine.examine(memory, blockBytes, seed), crc32cByTables(memory, seed));
        if (blockCount === 0) continue;
        const isZero = new Uint8Array(blockCount);
        for (const block of [blockCount - 1, random.below(blockCount)]) {
          memory.subarray(block * blockBytes, (block + 1) * blockBytes).fill(0);
          isZero[block] = 1;
          assert.deepEqual(await engine.examine(memory, blockBytes, seed), isZero);
        }
      }
    }
  });
}

for (const engine of [js, native]) {
  test(`when pieces of a buffer are hashed then the ${engine.name} engine answers the first 16 bytes of the SHA-256 of each`, async () => {
    const random = createRandom(3);
    for (const allocate of [engine.allocate, (bytes: number) => Buffer.alloc(bytes)]) {
      const batch = createBatch(allocate(300_000), 64);
      random.bytes(300_000).copy(batch.buffer);
      const expected: Buffer[] = [];
      for (const length of [1, 55, 56, 64, 4096, 65_536, 200_000]) {
        const position = random.below(300_000 - length);
        addPiece(batch, 0, length, position);
        const bytes = batch.buffer.subarray(position, position + length);
        expected.push(createHash('sha256').update(bytes).digest().subarray(0, 16));
      }
      assert.deepEqual(await engine.hashPieces(batch), Buffer.concat(expected));
    }
    const empty = createBatch(Buffer.alloc(0), 1);
    assert.equal((await engine.hashPieces(empty)).length, 0);
  });
}
