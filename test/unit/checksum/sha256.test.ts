import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { loadEngine } from '#lvmsync/block/engines.js';
import { checksumsAtOnce, useChecksumsOf } from '#lvmsync/checksum/at-once.js';
import { crc32cByTables } from '#lvmsync/checksum/crc32c.js';
import { createSha256, sha256Hex } from '#lvmsync/checksum/sha256.js';
import { createRandom } from '../../support/random.js';

/** FIPS 180-2, appendix B. */
const VECTORS = [
  ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  [
    'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
    '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  ],
] as const;

/** All sizes around the limit up to which it is left to the engine. */
const PIECES = [
  [0],
  [1, 2, 3],
  [65_535, 1],
  [65_536],
  [65_536, 0],
  [65_536, 1],
  [65_537],
  [1, 65_536, 5],
  [30_000, 30_000, 30_000, 30_000],
];

function assertRight(): void {
  for (const [text, hash] of VECTORS) assert.equal(sha256Hex(text), hash);
  const random = createRandom(5);
  for (const lengths of PIECES) {
    const hash = createSha256();
    const expected = createHash('sha256');
    for (const length of lengths) {
      const piece = random.bytes(length);
      expected.update(piece);
      hash.update(piece);
      piece.fill(0); // as who uses a buffer again
    }
    assert.deepEqual(hash.digest(), expected.digest(), `pieces of ${lengths} bytes`);
  }
}

describe('SHA-256', () => {
  test('when no engine has it then it is by Node', () => {
    assert.equal(checksumsAtOnce(), undefined);
    assertRight();
  });

  test('when an engine has none then it is by Node', () => {
    useChecksumsOf({ crc32c: crc32cByTables });
    assertRight();
  });

  test('when an engine has it then what is short is left to it', () => {
    const asked: number[] = [];
    const sha256 = (bytes: Uint8Array) => {
      asked.push(bytes.length);
      return createHash('sha256').update(bytes).digest();
    };
    useChecksumsOf({ crc32c: crc32cByTables, sha256 });
    assertRight();
    const short = PIECES.map((lengths) => lengths.reduce((sum, length) => sum + length, 0)).filter(
      (bytes) => bytes <= 65_536,
    );
    assert.deepEqual(asked, [...VECTORS.map(([text]) => text.length), ...short]);
  });

  test("when the native engine is loaded then what is short is by the addon's, and right", () => {
    useChecksumsOf({ crc32c: crc32cByTables });
    loadEngine('native');
    assert.ok(checksumsAtOnce()?.sha256);
    assertRight();
  });
});
