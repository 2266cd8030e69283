import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, open, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { BlockFile, Engine } from '#lvmsync/block/engine.js';
import { LvmsyncError } from '#lvmsync/errors.js';
import {
  batchOf,
  ENGINES,
  type Piece,
  randomBytes,
  seededRandom,
  temporaryDirectory,
} from './engine-fixture.js';

const run = promisify(execFile);
const SHARED_MEMORY = '/dev/shm';

/** Sizes and places where alignment can go wrong: block 4096, joined requests of 1 MiB. */
const ODD_FILE_BYTES = 3 * 1024 * 1024 + 4096 + 777;
const SINGLE_PIECES: readonly (Omit<Piece, 'position'> & { what: string })[] = [
  { what: 'one aligned block', offset: 8192, length: 4096 },
  { what: 'one sector', offset: 512, length: 512 },
  { what: 'one byte', offset: 4095, length: 1 },
  { what: 'inside one block', offset: 5000, length: 100 },
  { what: 'over a block border', offset: 4000, length: 200 },
  { what: 'an unaligned start', offset: 100, length: 12188 },
  { what: 'an unaligned end', offset: 4096, length: 10000 },
  { what: 'both ends unaligned', offset: 4097, length: 100001 },
  { what: 'over a request border', offset: 1024 * 1024 - 100, length: 200 },
  { what: 'more than two requests', offset: 12345, length: 2500000 },
  { what: 'the last byte', offset: ODD_FILE_BYTES - 1, length: 1 },
  { what: 'the odd end', offset: ODD_FILE_BYTES - 777, length: 777 },
  { what: 'an aligned block and the odd end', offset: ODD_FILE_BYTES - 4873, length: 4873 },
  { what: 'the whole file', offset: 0, length: ODD_FILE_BYTES },
];

for (const { label, engine } of ENGINES) {
  describe(`the ${label}`, () => {
    for (const parent of [undefined, SHARED_MEMORY]) {
      const place = parent ?? 'the temporary directory';
      for (const { what, offset, length } of SINGLE_PIECES) {
        for (const memory of ['allocated', 'unaligned'] as const) {
          test(`when ${what} is written and read in ${place} from ${memory} memory then exactly these bytes change`, async (context) => {
            const directory = await temporaryDirectory(context, parent);
            const path = join(directory, 'file');
            const expected = randomBytes(seededRandom(1), ODD_FILE_BYTES);
            await writeFile(path, expected);
            const file = await engine.open(path, { mode: 'write' });
            context.after(() => file.close());

            const position = memory === 'allocated' ? offset % 4096 : 13;
            const buffer = allocate(engine, memory, position + length + 5);
            await file.read(batchOf(buffer, [{ offset, length, position }]));
            const found = Buffer.alloc(buffer.length);
            expected.copy(found, position, offset, offset + length);
            assert.ok(buffer.equals(found), 'read differs, or wrote beside its piece');

            randomBytes(seededRandom(2), length).copy(buffer, position);
            const written = Buffer.from(buffer);
            await file.write(batchOf(buffer, [{ offset, length, position }]));
            await file.flush();
            assert.ok(buffer.equals(written), 'a write changed its source');
            written.copy(expected, offset, position, position + length);
            assert.ok(expected.equals(await readFile(path)), 'the file differs');

            buffer.fill(0);
            await file.read(batchOf(buffer, [{ offset, length, position }]));
            assert.ok(
              buffer
                .subarray(position, position + length)
                .equals(expected.subarray(offset, offset + length)),
              'what was written does not read back',
            );
          });
        }
      }
    }

    test('when a file is opened then kind, size and block size are known', async (context) => {
      const path = await fileOf(context, 5000);
      const file = await engine.open(path, { mode: 'read' });
      context.after(() => file.close());
      const { kind, sizeBytes, blockBytes } = file;
      assert.deepEqual(
        { path: file.path, kind, sizeBytes, blockBytes },
        { path, kind: 'file', sizeBytes: 5000, blockBytes: 4096 },
      );
    });

    test('when memory is allocated then it is zeroed and of the size asked for', () => {
      for (const bytes of [1, 4095, 4096, 65537, 1024 * 1024, 2 ** 21, 2 ** 22 + 4097]) {
        const buffer = engine.allocate(bytes);
        assert.equal(buffer.length, bytes);
        assert.ok(buffer.every((byte) => byte === 0));
      }
    });

    test('when a batch is empty then nothing happens', async (context) => {
      const file = await openOf(context, engine, 4096);
      const before = await readFile(file.path);
      await file.write(batchOf(engine.allocate(4096), []));
      await file.read(batchOf(engine.allocate(4096), []));
      assert.ok(before.equals(await readFile(file.path)));
    });

    test('when pieces of one page are written together then each keeps its bytes', async (context) => {
      const file = await openOf(context, engine, 65536);
      const expected = await readFile(file.path);
      const buffer = engine.allocate(65536);
      randomBytes(seededRandom(3), 65536).copy(buffer);
      const cuts = [0, 1, 512, 1000, 4096, 4608, 8192, 8193, 20480, 30000, 61440, 65535, 65536];
      const pieces = cuts.slice(1).map((end, index) => {
        const offset = cuts[index]!;
        return { offset, length: end - offset, position: offset };
      });
      // every second piece in each of two batches: nothing joins, and neighbours share pages
      await Promise.all([
        file.write(
          batchOf(
            buffer,
            pieces.filter((_, index) => index % 2 === 0),
          ),
        ),
        file.write(
          batchOf(
            buffer,
            pieces.filter((_, index) => index % 2 === 1),
          ),
        ),
      ]);
      buffer.copy(expected);
      assert.ok(expected.equals(await readFile(file.path)));
    });

    test('when a read ends past the end then it is PAST_END', async (context) => {
      const file = await openOf(context, engine, 5000);
      const buffer = engine.allocate(8192);
      for (const piece of [
        { offset: 4999, length: 2, position: 0 },
        { offset: 5000, length: 1, position: 0 },
        { offset: 2 ** 52, length: 4096, position: 0 },
      ]) {
        await assert.rejects(file.read(batchOf(buffer, [piece])), {
          name: 'LvmsyncError',
          code: 'PAST_END',
          path: file.path,
          offset: piece.offset,
        });
      }
    });

    test('when one piece of a write ends past the end then nothing is written', async (context) => {
      const file = await openOf(context, engine, 3 * 4096);
      const before = await readFile(file.path);
      const buffer = engine.allocate(16384);
      buffer.fill(255);
      const pieces = [
        { offset: 0, length: 4096, position: 0 },
        { offset: 8192, length: 4097, position: 4096 },
        { offset: 4096, length: 4096, position: 8193 },
      ];
      await assert.rejects(file.write(batchOf(buffer, pieces)), { code: 'PAST_END', offset: 8192 });
      assert.ok(before.equals(await readFile(file.path)));
    });

    test('when a batch makes no sense then it is refused', async (context) => {
      const file = await openOf(context, engine, 65536);
      const buffer = engine.allocate(8192);
      for (const piece of [
        { offset: -4096, length: 4096, position: 0 },
        { offset: 0.5, length: 4096, position: 0 },
        { offset: Number.NaN, length: 4096, position: 0 },
        { offset: 0, length: 0, position: 0 },
        { offset: 0, length: 4096, position: 4097 },
        { offset: 0, length: 8193, position: 0 },
      ]) {
        await assert.rejects(file.read(batchOf(buffer, [piece])), { code: 'INTERNAL' });
        await assert.rejects(file.write(batchOf(buffer, [piece])), { code: 'INTERNAL' });
      }
      const batch = batchOf(buffer, [{ offset: 0, length: 4096, position: 0 }]);
      batch.count = 2;
      await assert.rejects(file.read(batch), { code: 'INTERNAL' });
    });

    test('when a file is open for reading then a write fails and changes nothing', async (context) => {
      const path = await fileOf(context, 8192);
      const before = await readFile(path);
      const file = await engine.open(path, { mode: 'read' });
      context.after(() => file.close());
      const buffer = engine.allocate(8192);
      for (const [offset, length] of [
        [4096, 4096],
        [4097, 10],
      ] as const) {
        await assert.rejects(file.write(batchOf(buffer, [{ offset, length, position: 0 }])), {
          code: 'WRITE_FAILED',
          errno: 'EBADF',
          path,
          offset,
        });
      }
      assert.ok(before.equals(await readFile(path)));
    });

    test('when a path cannot be opened then the error says why', async (context) => {
      const directory = await temporaryDirectory(context);
      const pipe = join(directory, 'pipe');
      await run('mkfifo', [pipe]);
      await symlink('loop', join(directory, 'loop'));
      const missing = join(directory, 'missing');
      for (const [path, errno] of [
        [missing, 'ENOENT'],
        [directory, 'EISDIR'],
        [pipe, 'ENOTBLK'],
        ['/dev/null', 'ENOTBLK'],
        [join(directory, 'loop'), 'ELOOP'],
        ['', 'ENOENT'],
        [`${missing}\0`, 'EINVAL'],
      ] as const) {
        for (const mode of ['read', 'write'] as const) {
          await assert.rejects(
            engine.open(path, { mode, exclusive: mode === 'write' }),
            (error) => {
              assert.ok(error instanceof LvmsyncError);
              assert.deepEqual([error.code, error.errno, error.path], ['OPEN_FAILED', errno, path]);
              assert.match(error.message, /^cannot open [^\n]*[^.]$/);
              assert.ok(error.hint);
              return true;
            },
            `${path} as ${mode}`,
          );
        }
      }
      await assert.rejects(open(missing), { code: 'ENOENT' }, 'open created the file');
    });

    test('when a file is opened exclusively then it opens like any other', async (context) => {
      const path = await fileOf(context, 4096);
      const first = await engine.open(path, { mode: 'write', exclusive: true });
      const second = await engine.open(path, { mode: 'write', exclusive: true });
      await Promise.all([first.close(), second.close()]);
    });

    test('when the path is a symbolic link then the file behind it is used', async (context) => {
      const directory = await temporaryDirectory(context);
      await writeFile(join(directory, 'file'), Buffer.alloc(4096, 7));
      await symlink('file', join(directory, 'link'));
      const file = await engine.open(join(directory, 'link'), { mode: 'read' });
      context.after(() => file.close());
      const buffer = engine.allocate(4096);
      await file.read(batchOf(buffer, [{ offset: 0, length: 4096, position: 0 }]));
      assert.ok(buffer.every((byte) => byte === 7));
    });

    test('when a file shrank after opening then the read names the piece', async (context) => {
      const file = await openOf(context, engine, 64 * 4096);
      await truncate(file.path, 10 * 4096 + 100);
      const buffer = engine.allocate(64 * 4096);
      const pieces = Array.from({ length: 64 }, (_, index) => ({
        offset: index * 4096,
        length: 4096,
        position: index * 4096,
      }));
      await assert.rejects(file.read(batchOf(buffer, pieces)), {
        code: 'READ_FAILED',
        errno: undefined,
        path: file.path,
        offset: 10 * 4096,
      });
    });

    test('when a file is closed then later calls fail, and closing again does nothing', async (context) => {
      const file = await openOf(context, engine, 4096);
      const batch = batchOf(engine.allocate(4096), [{ offset: 0, length: 4096, position: 0 }]);
      await file.close();
      await file.close();
      await assert.rejects(file.read(batch), { code: 'READ_FAILED', errno: 'EBADF' });
      await assert.rejects(file.write(batch), { code: 'WRITE_FAILED', errno: 'EBADF' });
      await assert.rejects(file.flush(), { code: 'FLUSH_FAILED', errno: 'EBADF' });
    });

    test('when a file is closed with work in flight then all of it is done first', async (context) => {
      const file = await openOf(context, engine, 8 * 1024 * 1024);
      const buffer = engine.allocate(8 * 1024 * 1024);
      randomBytes(seededRandom(4), 65536).copy(buffer, 1024 * 1024);
      const settled: string[] = [];
      const writes = Array.from({ length: 8 }, (_, index) => {
        const offset = index * 1024 * 1024;
        const piece = { offset, length: 1024 * 1024, position: offset };
        return file.write(batchOf(buffer, [piece])).then(() => settled.push('write'));
      });
      const closes = [file.close(), file.close()].map((closing) =>
        closing.then(() => settled.push('close')),
      );
      await Promise.all([...writes, ...closes]);
      assert.deepEqual(settled, [...Array(8).fill('write'), 'close', 'close']);
      assert.ok(buffer.equals(await readFile(file.path)));
    });

    test('when a big batch runs then the event loop lives', async (context) => {
      const file = await openOf(context, engine, 64 * 1024 * 1024);
      const buffer = engine.allocate(64 * 1024 * 1024);
      const pieces = Array.from({ length: 16384 }, (_, index) => ({
        offset: (16383 - index) * 4096,
        length: 4096,
        position: index * 4096,
      }));
      const rounds = 20;
      let reading = true;
      let turns = 0;
      const count = () => {
        turns++;
        if (reading) setImmediate(count);
      };
      setImmediate(count);
      for (let round = 0; round < rounds; round++) await file.read(batchOf(buffer, pieces));
      reading = false;
      // One turn a batch is what a batch costs that is carried out on this thread.
      assert.ok(turns > 5 * rounds, `${turns} turns of the event loop in ${rounds} batches`);
    });

    test('when memory is shared then it is read into as any other', async (context) => {
      const file = await openOf(context, engine, 8192);
      const buffer = Buffer.from(new SharedArrayBuffer(8192));
      await file.read(batchOf(buffer, [{ offset: 100, length: 8000, position: 7 }]));
      const expected = (await readFile(file.path)).subarray(100, 8100);
      assert.ok(expected.equals(buffer.subarray(7, 8007)));
    });

    test('when others wrote through the page cache then a read sees it', async (context) => {
      const file = await openOf(context, engine, 8192);
      const handle = await open(file.path, 'r+');
      await handle.write(Buffer.alloc(100, 9), 0, 100, 4000);
      await handle.close();
      const buffer = engine.allocate(8192);
      await file.read(batchOf(buffer, [{ offset: 0, length: 8192, position: 0 }]));
      assert.ok(buffer.equals(await readFile(file.path)));
    });

    test('when the file is renamed and its name taken then unaligned writes still reach it', async (context) => {
      const directory = await temporaryDirectory(context);
      const path = join(directory, 'file');
      await mkdir(join(directory, 'old'));
      await writeFile(path, Buffer.alloc(8192));
      const file = await engine.open(path, { mode: 'write' });
      context.after(() => file.close());
      await run('mv', [path, join(directory, 'old/file')]);
      await writeFile(path, Buffer.alloc(8192));
      const buffer = Buffer.alloc(10, 5);
      await file.write(batchOf(buffer, [{ offset: 1, length: 10, position: 0 }]));
      assert.equal((await readFile(join(directory, 'old/file'))).indexOf(5), 1);
      assert.equal((await readFile(path)).indexOf(5), -1);
    });
  });
}

function allocate(engine: Engine, memory: 'allocated' | 'unaligned', bytes: number): Buffer {
  return memory === 'allocated' ? engine.allocate(bytes) : Buffer.alloc(bytes + 3).subarray(3);
}

async function fileOf(context: Parameters<typeof temporaryDirectory>[0], bytes: number) {
  const path = join(await temporaryDirectory(context), 'file');
  const start = randomBytes(seededRandom(5), Math.min(bytes, 65536));
  await writeFile(path, start);
  await truncate(path, bytes);
  return path;
}

async function openOf(
  context: Parameters<typeof temporaryDirectory>[0],
  engine: Engine,
  bytes: number,
): Promise<BlockFile> {
  const file = await engine.open(await fileOf(context, bytes), { mode: 'write' });
  context.after(() => file.close());
  return file;
}
