import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { loadAddon } from '#lvmsync/block/installation.js';
import { nodeMajor } from '../support/newer-node.js';
import {
  exposeGarbageCollector,
  randomBytes,
  seededRandom,
  temporaryDirectory,
} from './engine-fixture.js';

/** The addon itself, without the checks in TypeScript before it. */
interface Addon {
  [name: string]: (...values: unknown[]) => unknown;
}

const addon = loadAddon() as Addon;
const ignore = () => {};

describe("the addon's boundary", () => {
  test('when arguments are wrong then it is a TypeError', async (context) => {
    const path = join(await temporaryDirectory(context), 'file');
    await writeFile(path, Buffer.alloc(65536));
    const handle = await openHandle(path);
    const buffer = Buffer.alloc(8192);
    const good: unknown[] = [
      handle,
      buffer,
      Float64Array.of(0, 4096),
      Uint32Array.of(4096, 4096),
      Uint32Array.of(0, 4096),
      2,
      ignore,
    ];
    const oddValues = [undefined, null, true, 'x', 1.5, -1, 2 ** 53, Number.NaN, 1n, Symbol('s')];
    const objects = [{}, [], new Proxy({}, {}), Object.create(null), new ArrayBuffer(8192)];

    for (const name of ['read', 'write']) {
      for (const [index, value] of good.entries()) {
        const wrong: unknown[] = [
          ...oddValues,
          ...objects,
          new Uint8Array(0),
          new DataView(buffer.buffer),
        ];
        if (index !== 6) wrong.push(ignore);
        if (index === 0 || index === 5) wrong.push(0, 4294967295, 4294967296);
        for (const other of wrong) {
          if (other === value) continue;
          const values = good.with(index, other);
          assert.throws(() => addon[name]!(...values), TypeError, `${name}, argument ${index}`);
        }
      }
      for (const [index, value] of [
        [2, Float64Array.of(0, -1)],
        [2, Float64Array.of(0, 0.5)],
        [2, Float64Array.of(Number.NaN, 0)],
        [2, Float64Array.of(0, Number.POSITIVE_INFINITY)],
        [2, Float64Array.of(0, Number.MAX_SAFE_INTEGER)],
        [2, Float64Array.of(0)],
        [3, Uint32Array.of(4096, 0)],
        [3, Uint32Array.of(4096, 4097)],
        [3, Uint32Array.of(4096, 4294967295)],
        [3, Int32Array.of(4096, 4096)],
        [4, Uint32Array.of(0, 4097)],
        [4, Uint32Array.of(0, 4294967295)],
        [5, 3],
      ] as const) {
        assert.throws(() => addon[name]!(...good.with(index, value)), TypeError);
      }
      for (let count = 0; count < good.length; count++) {
        assert.throws(() => addon[name]!(...good.slice(0, count)), TypeError);
      }
    }

    const clear: unknown[] = [
      handle,
      true,
      Float64Array.of(0, 4096),
      Uint32Array.of(1, 1),
      2,
      ignore,
    ];
    for (const [index, ...values] of [
      [0, handle + 1, '1', undefined],
      [1, 0, 'true', undefined],
      [2, Float64Array.of(0), Float64Array.of(0, -1), Float64Array.of(0, 2 ** 53), [0, 4096]],
      [3, Uint32Array.of(1), Uint32Array.of(1, 0), Float64Array.of(1, 1)],
      [4, 0, 3, 1.5, '2'],
      [5, undefined, 1],
    ] as [number, ...unknown[]][]) {
      for (const value of values) {
        assert.throws(() => addon.clear!(...clear.with(index, value)), TypeError);
      }
    }

    for (const name of ['flush', 'close']) {
      for (const values of [[], [handle], [handle, 1], [handle + 1, ignore], ['1', ignore]]) {
        assert.throws(() => addon[name]!(...values), TypeError);
      }
    }
    for (const values of [
      [],
      [path],
      [1, true, true, true, ignore],
      [path, 1, true, true, ignore],
      [path, true, 1, true, ignore],
      [path, true, true, 1, ignore],
      [path, true, true, true, 1],
    ]) {
      assert.throws(() => addon.open!(...values), TypeError);
    }
    for (const bytes of [undefined, '1', 0, -1, Number.NaN, 2 ** 32, Number.POSITIVE_INFINITY]) {
      assert.throws(() => addon.allocate!(bytes), TypeError);
    }

    for (const name of ['crc32c', 'findZeroBlocks', 'crc32cByTables', 'crc32cAtOnce']) {
      for (const values of [
        [],
        [1, 1, ignore],
        [new Uint16Array(8), 1, ignore],
        [new ArrayBuffer(8), 1, ignore],
        [buffer, '1', ignore],
        [buffer, -1, ignore],
        [buffer, 0.5, ignore],
        [buffer, Number.NaN, ignore],
        [buffer, 2 ** 32, ignore],
      ]) {
        assert.throws(() => addon[name]!(...values), TypeError, name);
      }
      if (name.startsWith('crc32c') && name !== 'crc32c') continue;
      assert.throws(() => addon[name]!(buffer, 1), TypeError);
    }
    assert.throws(() => addon.findZeroBlocks!(buffer, 0, ignore), TypeError);
    for (const bytes of [undefined, 'x', new Uint16Array(8), new ArrayBuffer(8), {}]) {
      assert.throws(() => addon.sha256AtOnce!(bytes), TypeError);
    }
    for (const values of [
      [],
      [1, 1, 1, ignore],
      [buffer, 0, 1, ignore],
      [buffer, 1, -1, ignore],
      [buffer, 1, 1, 1],
    ]) {
      assert.throws(() => addon.examine!(...values), TypeError);
    }
    for (const values of [
      [],
      [buffer, 1, 1, ignore],
      [1, buffer, 1, ignore],
      [buffer, buffer.subarray(1), 1, ignore],
      [buffer, buffer, 0, ignore],
      [buffer, buffer, 0.5, ignore],
      [buffer, buffer, 1],
    ]) {
      assert.throws(() => addon.findEqualBlocks!(...values), TypeError);
    }

    const [, ...pieces] = good;
    for (const [index, value] of [
      [0, new Uint16Array(8)],
      [2, new Float64Array(1)],
      [3, new Uint32Array([2 ** 31])],
      [4, 0],
      [5, undefined],
    ] as const) {
      const values = pieces.with(index, value);
      assert.throws(() => addon.hashPieces!(...values), TypeError, `argument ${index}`);
    }

    await new Promise((done) => addon.close!(handle, done));
    assert.throws(() => addon.read!(...good), TypeError, 'a closed handle');
  });

  test('when nobody else holds the buffer of a batch then it lives until the batch is done', async (context) => {
    const collectGarbage = exposeGarbageCollector();
    const path = join(await temporaryDirectory(context), 'file');
    const bytes = 16 * 1024 * 1024;
    const expected = randomBytes(seededRandom(6), bytes);
    await writeFile(path, expected);
    const handle = await openHandle(path);
    for (const name of ['read', 'write']) {
      const failure = new Promise((done) => {
        const memory = addon.allocate!(bytes);
        assert.ok(memory instanceof ArrayBuffer);
        const buffer = Buffer.from(memory);
        expected.copy(buffer);
        const count = bytes / 4096;
        const offsets = Float64Array.from({ length: count }, (_, index) => index * 4096);
        const positions = Uint32Array.from(offsets).reverse();
        for (const [index, position] of positions.entries()) {
          expected.copy(buffer, position, index * 4096, index * 4096 + 4096);
        }
        const lengths = new Uint32Array(count).fill(4096);
        addon[name]!(handle, buffer, offsets, lengths, positions, count, done);
      });
      for (let round = 0; round < 5; round++) collectGarbage();
      assert.equal(await failure, undefined);
    }
    await new Promise((done) => addon.close!(handle, done));
    assert.ok(expected.equals(await readFile(path)));
  });

  test('when memory of the addon is to be transferred then it stays where it may be written', () => {
    const memory = addon.allocate!(4096);
    assert.ok(memory instanceof ArrayBuffer);
    const transfer = () => structuredClone(memory, { transfer: [memory] });
    if (nodeMajor < 24) assert.notEqual(transfer(), memory);
    else assert.throws(transfer, { name: 'DataCloneError' });
    assert.equal(memory.byteLength, 4096);
  });

  test('when the addon is loaded again then it is the same one', () => {
    assert.equal(loadAddon(), addon);
  });
});

async function openHandle(path: string): Promise<number> {
  const answer = await new Promise<{ handle: number }>((done) =>
    addon.open!(path, true, false, false, done),
  );
  assert.equal(typeof answer.handle, 'number');
  return answer.handle;
}
