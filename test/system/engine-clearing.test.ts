import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import type { Ranges } from '#lvmsync/block/batch.js';
import type { BlockFile, Engine } from '#lvmsync/block/engine.js';
import {
  batchOf,
  ENGINES,
  loopDevice,
  mounted,
  noLoopDevices,
  noMounts,
  randomBytes,
  seededRandom,
  temporaryDirectory,
} from './engine-fixture.js';

const run = promisify(execFile);

const MIB = 1024 * 1024;
const FILE_BYTES = 6 * MIB + 12345;
const WAYS = ['zero', 'discard'] as const;

interface Place {
  path: string;
  /** What is there, read past this process's own file. */
  content(): Promise<Buffer>;
}

async function plainFile(context: TestContext, bytes = FILE_BYTES): Promise<Place> {
  const path = join(await temporaryDirectory(context), 'file');
  await writeFile(path, randomBytes(seededRandom(bytes), bytes));
  return { path, content: () => readFile(path) };
}

async function fileWithoutHoles(context: TestContext): Promise<Place> {
  const path = join(await mounted(context, 'ramfs'), 'file');
  await writeFile(path, randomBytes(seededRandom(3), FILE_BYTES));
  await assert.rejects(run('fallocate', ['--punch-hole', '--length', '65536', path]));
  return { path, content: () => readFile(path) };
}

/** The loop driver discards by holes in the file behind it, so that this one has no discard. */
async function loopWithoutDiscard(context: TestContext): Promise<Place> {
  const backing = join(await mounted(context, 'ramfs'), 'backing');
  await writeFile(backing, randomBytes(seededRandom(4), 4 * MIB));
  const { stdout } = await run('losetup', ['--find', '--show', backing]);
  const path = stdout.trim();
  context.after(() => run('losetup', ['--detach', path]));
  return { path, content: () => readFile(backing) };
}

async function loopOf(context: TestContext, blockBytes: number): Promise<Place> {
  const { device, backing } = await loopDevice(context, 4 * MIB + blockBytes, blockBytes);
  return { path: device, content: () => readFile(backing) };
}

const PLACES = [
  { name: 'a file', skip: false, make: plainFile },
  { name: 'a file that can have no holes', skip: noMounts, make: fileWithoutHoles },
  {
    name: 'a device with blocks of 512 bytes',
    skip: noLoopDevices,
    make: (context: TestContext) => loopOf(context, 512),
  },
  {
    name: 'a device with blocks of 4096 bytes',
    skip: noLoopDevices,
    make: (context: TestContext) => loopOf(context, 4096),
  },
  {
    name: 'a device that cannot discard',
    skip: noLoopDevices || noMounts,
    make: loopWithoutDiscard,
  },
] as const;

for (const { label, engine } of ENGINES) {
  describe(`the ${label} clearing ranges`, () => {
    for (const { name, skip, make } of PLACES) {
      test(`when random ranges of ${name} are zeroed, discarded and written side by side then it equals a plain buffer`, {
        skip,
      }, async (context) => {
        const { path, content } = await make(context);
        const file = await engine.open(path, { mode: 'write' });
        context.after(() => file.close());
        const expected = await content();
        for (let seed = 1; seed <= 12; seed++) {
          await clearAtRandom(file, engine, expected, seed);
          await file.flush();
          assert.ok(expected.equals(await content()), `seed ${seed}: the content differs`);
          assert.ok(expected.equals(await readAll(file, engine)), `seed ${seed}: it reads back`);
        }
      });
    }

    for (const way of WAYS) {
      test(`when ranges to ${way} reach beyond the end then it is PAST_END and nothing changes`, async (context) => {
        const { path, content } = await plainFile(context);
        const before = await content();
        const file = await engine.open(path, { mode: 'write' });
        context.after(() => file.close());
        const beyond = rangesOf([0, MIB], [FILE_BYTES - 10, 11]);
        await assert.rejects(file[way](beyond), { code: 'PAST_END', offset: FILE_BYTES - 10 });
        assert.ok(before.equals(await content()));
        assert.equal((await stat(path)).size, FILE_BYTES);
      });

      test(`when a file is open for reading alone then it does not ${way}`, async (context) => {
        const { path, content } = await plainFile(context);
        const before = await content();
        const file = await engine.open(path, { mode: 'read' });
        const all = rangesOf([0, FILE_BYTES]);
        await assert.rejects(file[way](all), { code: 'WRITE_FAILED', errno: 'EBADF', path });
        await file.close();
        assert.ok(before.equals(await content()));
      });

      test(`when a file is closed while it has to ${way} then that is done first`, async (context) => {
        const { path, content } = await plainFile(context);
        const file = await engine.open(path, { mode: 'write' });
        const done = file[way](rangesOf([100, FILE_BYTES - 100]));
        await file.close();
        await done;
        assert.ok((await content()).subarray(100).equals(Buffer.alloc(FILE_BYTES - 100)));
        await assert.rejects(file[way](rangesOf([0, 1])), { errno: 'EBADF' });
      });
    }
  });
}

for (const { label, engine } of ENGINES.filter((candidate) => candidate.engine.name === 'native')) {
  describe(`the ${label} giving space back`, () => {
    for (const way of WAYS) {
      test(`when a file has to ${way} then its blocks are freed and its size stays`, async (context) => {
        const { path } = await plainFile(context);
        const before = await allocatedBytes(path);
        const file = await engine.open(path, { mode: 'write' });
        await file[way](rangesOf([1000, 4 * MIB]));
        await file.close();
        const freed = before - (await allocatedBytes(path));
        assert.ok(freed >= 4 * MIB - 2 * 4096, `${freed} bytes were freed`);
        assert.equal((await stat(path)).size, FILE_BYTES);
      });
    }

    test('when a device discards then the file behind it is given space back', {
      skip: noLoopDevices,
    }, async (context) => {
      const { device, backing } = await loopDevice(context, 4 * MIB, 512);
      const before = await allocatedBytes(backing);
      const file = await engine.open(device, { mode: 'write' });
      await file.discard(rangesOf([MIB, 2 * MIB]));
      await file.close();
      const freed = before - (await allocatedBytes(backing));
      assert.ok(freed >= 2 * MIB, `${freed} bytes were freed`);
    });
  });
}

function rangesOf(...list: [offset: number, length: number][]): Ranges {
  return {
    count: list.length,
    offsets: Float64Array.from(list, ([offset]) => offset),
    lengths: Uint32Array.from(list, ([, length]) => length),
  };
}

/** Cuts the file into ranges of any length, and does something else with each. */
async function clearAtRandom(file: BlockFile, engine: Engine, expected: Buffer, seed: number) {
  const random = seededRandom(seed);
  const unit = [1, 512, 4096][seed % 3]!;
  const zeroed: [number, number][] = [];
  const discarded: [number, number][] = [];
  const written: { offset: number; length: number; position: number }[] = [];
  const fresh = randomBytes(random, 65536);
  const buffer = engine.allocate(expected.length);
  for (let offset = 0; offset < expected.length; ) {
    const longest = random(2) ? 400_000 : 9000;
    const length = Math.min(expected.length - offset, unit * (1 + random(longest / unit)));
    const choice = random(4);
    if (choice === 0) zeroed.push([offset, length]);
    if (choice === 1) discarded.push([offset, length]);
    if (choice < 2) expected.fill(0, offset, offset + length);
    if (choice === 2) {
      written.push({ offset, length, position: offset });
      for (let at = offset; at < offset + length; at += fresh.length) {
        fresh.copy(buffer, at, 0, Math.min(fresh.length, offset + length - at));
      }
      buffer.copy(expected, offset, offset, offset + length);
    }
    offset += length;
  }
  await Promise.all([
    file.zero(rangesOf(...zeroed)),
    file.write(batchOf(buffer, written)),
    file.discard(rangesOf(...discarded)),
  ]);
}

async function readAll(file: BlockFile, engine: Engine): Promise<Buffer> {
  const buffer = engine.allocate(file.sizeBytes);
  await file.read(batchOf(buffer, [{ offset: 0, length: file.sizeBytes, position: 0 }]));
  return buffer;
}

async function allocatedBytes(path: string): Promise<number> {
  await run('sync', [path]);
  return (await stat(path)).blocks * 512;
}
