import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadEngine } from '#lvmsync/block/engines.js';
import { contentHash, HASH_BYTES } from '#lvmsync/checksum/content-hash.js';
import { openStoreSource } from '#lvmsync/send/change-source.js';
import { unchangedBlocks } from '#lvmsync/send/unchanged-blocks.js';
import { createRandom } from '../../support/random.js';
import { createStoreFixture } from '../../support/store-fixture.js';
import { temporaryDirectory } from '../../support/temp-dir.js';

const directory = temporaryDirectory();
const KIB = 1024;
let seed = 0;

/** A volume of which some bytes of most changed chunks differ, opened as a source. */
async function openChanged(engineName: 'native' | 'js', chunkBytes: number, originBytes: number) {
  const random = createRandom(chunkBytes);
  const changedChunks = Math.floor(originBytes / chunkBytes / 2);
  const fixture = createStoreFixture(directory, {
    seed: ++seed,
    originBytes,
    chunkBytes,
    changedChunks,
    content(chunk) {
      for (let i = random.below(4); i > 0; i--) chunk[random.below(chunk.length)]! ^= 1;
    },
  });
  const { engine } = loadEngine(engineName);
  const source = await openStoreSource({
    storePath: join(directory, `store-${seed}`),
    dataPath: join(directory, `origin-${seed}`),
    engine,
  });
  return { fixture, engine, source };
}

for (const engineName of ['native', 'js'] as const) {
  for (const [chunkBytes, originBytes] of [
    [512, 300 * KIB],
    [4 * KIB, 1024 * KIB],
    [64 * KIB, 8 * 1024 * KIB + 2560],
    [4096 * KIB, 33 * 1024 * KIB],
  ] as const) {
    test(`when chunks of ${chunkBytes} bytes are compared by the ${engineName} engine then their unchanged blocks are found, with their hashes`, async () => {
      const { fixture, engine, source } = await openChanged(engineName, chunkBytes, originBytes);
      const { origin, base, changedOffsets } = fixture;
      const unit = Math.min(4096, chunkBytes);
      let compared = 0;
      const found = new Set<number>();
      const groups = unchangedBlocks({
        source,
        engine,
        firstOffset: () => 0,
        goesOn: async () => true,
        onCompared(bytes) {
          compared += bytes;
        },
      });
      for await (const { extents, hashes } of groups) {
        assert.equal(hashes.length, extents.count * HASH_BYTES);
        let bytes = 0;
        let previousEnd = -1;
        for (let i = 0; i < extents.count; i++) {
          const hash = hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES);
          const offset = extents.offsets[i]!;
          const end = offset + extents.lengths[i]!;
          assert.ok(offset >= previousEnd, 'ascending');
          previousEnd = end;
          bytes += end - offset;
          assert.ok(hash.equals(contentHash(origin.subarray(offset, end))));
          for (let at = offset; at < end; at += unit) found.add(at);
        }
        assert.ok(bytes <= 1024 * KIB);
      }
      await source.close();
      const expected = new Set<number>();
      let changedBytes = 0;
      for (const offset of changedOffsets) {
        const end = Math.min(offset + chunkBytes, originBytes);
        changedBytes += end - offset;
        for (let at = offset; at < end; at += unit) {
          const blockEnd = Math.min(at + unit, end);
          if (origin.subarray(at, blockEnd).equals(base.subarray(at, blockEnd))) expected.add(at);
        }
      }
      assert.equal(compared, changedBytes);
      assert.deepEqual([...found].sort(), [...expected].sort());
      assert.ok(expected.size > 0 && expected.size * unit < changedBytes);
    });
  }
}

test('when chunks lie below the offset of interest then they are not read', async () => {
  const { fixture, engine, source } = await openChanged('native', 64 * KIB, 8 * 1024 * KIB);
  let compared = 0;
  const firstOffset = 4 * 1024 * KIB;
  const groups = unchangedBlocks({
    source,
    engine,
    firstOffset: () => firstOffset,
    goesOn: async () => true,
    onCompared(bytes) {
      compared += bytes;
    },
  });
  for await (const { extents } of groups) assert.ok(extents.offsets[0]! >= firstOffset);
  const above = fixture.changedOffsets.filter((offset) => offset >= firstOffset);
  assert.equal(compared, above.length * 64 * KIB);
  await source.close();
});
