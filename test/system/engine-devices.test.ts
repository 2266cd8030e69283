import assert from 'node:assert/strict';
import { constants } from 'node:fs';
import { open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  batchOf,
  ENGINES,
  loopDevice,
  mounted,
  noLoopDevices,
  noMounts,
  randomBytes,
  seededRandom,
} from './engine-fixture.js';

for (const { label, engine } of ENGINES) {
  describe(`the ${label} on block devices`, { skip: noLoopDevices }, () => {
    for (const blockBytes of [512, 4096]) {
      test(`when a device has blocks of ${blockBytes} then size, blocks and bytes are right`, async (context) => {
        // not a multiple of a page where the blocks allow that
        const bytes = 2 * 1024 * 1024 + blockBytes;
        const { device, backing } = await loopDevice(context, bytes, blockBytes);
        const file = await engine.open(device, { mode: 'write' });
        context.after(() => file.close());
        assert.deepEqual(
          [file.kind, file.sizeBytes, file.blockBytes],
          ['block-device', bytes, blockBytes],
        );

        const expected = await readFile(backing);
        const buffer = engine.allocate(bytes);
        await file.read(batchOf(buffer, [{ offset: 0, length: bytes, position: 0 }]));
        assert.ok(expected.equals(buffer));

        const random = seededRandom(blockBytes);
        const pieces = [
          { offset: 0, length: 512, position: 0 },
          { offset: 512, length: 3584, position: 512 },
          { offset: 5000, length: 100000, position: 5000 },
          { offset: 200704, length: 65536, position: 200704 },
          {
            offset: bytes - blockBytes - 1,
            length: blockBytes + 1,
            position: bytes - blockBytes - 1,
          },
        ];
        for (const { length, position } of pieces) {
          randomBytes(random, length).copy(buffer, position);
          buffer.copy(expected, position, position, position + length);
        }
        await file.write(batchOf(buffer, pieces));
        await file.flush();
        assert.ok(expected.equals(await readFile(backing)), 'the device differs');
        await file.read(batchOf(buffer, [{ offset: 0, length: bytes, position: 0 }]));
        assert.ok(expected.equals(buffer), 'what was written does not read back');
      });
    }

    test('when pieces share pages then unaligned and aligned writes never undo one another', async (context) => {
      const bytes = 1024 * 1024;
      const { device, backing } = await loopDevice(context, bytes, 512);
      const file = await engine.open(device, { mode: 'write' });
      context.after(() => file.close());
      const random = seededRandom(77);
      const buffer = engine.allocate(bytes);
      for (let round = 0; round < 20; round++) {
        randomBytes(random, bytes).copy(buffer);
        const batches = [0, 1, 2, 3].map(
          () => [] as { offset: number; length: number; position: number }[],
        );
        for (let offset = 0; offset < bytes; ) {
          const length = Math.min(
            bytes - offset,
            random(3) ? 512 * (1 + random(20)) : 1 + random(9000),
          );
          batches[random(4)]!.push({ offset, length, position: offset });
          offset += length;
        }
        await Promise.all(batches.map((pieces) => file.write(batchOf(buffer, pieces))));
        await file.flush();
        assert.ok(buffer.equals(await readFile(backing)), `round ${round}`);
      }
    });

    test('when a device is held then opening it exclusively is TARGET_IN_USE', async (context) => {
      const { device } = await loopDevice(context, 65536, 512);
      const holder = await open(device, constants.O_RDONLY | constants.O_EXCL);
      const options = { mode: 'write', exclusive: true } as const;
      try {
        await assert.rejects(engine.open(device, options), {
          name: 'LvmsyncError',
          code: 'TARGET_IN_USE',
          errno: 'EBUSY',
          path: device,
        });
        await (await engine.open(device, { mode: 'write' })).close();
      } finally {
        await holder.close();
      }

      const file = await engine.open(device, options);
      // an edge is written through a second descriptor, which must not count as another holder
      await file.write(batchOf(Buffer.alloc(3, 1), [{ offset: 5, length: 3, position: 0 }]));
      await assert.rejects(engine.open(device, options), { code: 'TARGET_IN_USE' });
      await file.close();
      await (await engine.open(device, options)).close();
    });

    test('when a device is read-only then it opens for reading alone', async (context) => {
      const { device } = await loopDevice(context, 65536, 512, ['--read-only']);
      await (await engine.open(device, { mode: 'read' })).close();
      await assert.rejects(engine.open(device, { mode: 'write' }), {
        code: 'OPEN_FAILED',
        errno: 'EROFS',
        path: device,
      });
    });

    test('when a device fails to read then the error names the first failing piece', async (context) => {
      const { device, backing } = await loopDevice(context, 1024 * 1024, 512);
      const file = await engine.open(device, { mode: 'read' });
      context.after(() => file.close());
      const buffer = engine.allocate(1024 * 1024);
      const pieces = Array.from({ length: 256 }, (_, index) => ({
        offset: index * 4096,
        length: 4096,
        position: index * 4096,
      }));
      await truncate(backing, 100 * 4096); // the loop driver answers EIO beyond it
      await assert.rejects(file.read(batchOf(buffer, pieces)), {
        code: 'READ_FAILED',
        errno: 'EIO',
        path: device,
        offset: 100 * 4096,
      });
    });
  });

  describe(`the ${label} on other file systems`, { skip: noMounts }, () => {
    test('when a file system has no O_DIRECT then reading and writing work', async (context) => {
      const directory = await mounted(context, 'ramfs');
      const path = join(directory, 'file');
      const expected = randomBytes(seededRandom(8), 100001);
      await writeFile(path, expected);
      await assert.rejects(open(path, constants.O_RDONLY | constants.O_DIRECT), { code: 'EINVAL' });

      const file = await engine.open(path, { mode: 'write' });
      const buffer = Buffer.alloc(100001);
      const whole = batchOf(buffer, [{ offset: 0, length: 100001, position: 0 }]);
      await file.read(whole);
      assert.ok(expected.equals(buffer));
      randomBytes(seededRandom(9), 50000).copy(buffer, 777);
      await file.write(batchOf(buffer, [{ offset: 777, length: 50000, position: 777 }]));
      await file.flush();
      await file.close();
      assert.ok(buffer.equals(await readFile(path)));
    });

    test('when a file system is full then the write fails with ENOSPC', async (context) => {
      const directory = await mounted(context, 'tmpfs', 'size=64k');
      const path = join(directory, 'file');
      await writeFile(path, '');
      await truncate(path, 1024 * 1024);
      const file = await engine.open(path, { mode: 'write' });
      context.after(() => file.close());
      const batch = batchOf(engine.allocate(1024 * 1024), [
        { offset: 0, length: 1024 * 1024, position: 0 },
      ]);
      await assert.rejects(file.write(batch), { code: 'WRITE_FAILED', errno: 'ENOSPC', path });
    });
  });
}
