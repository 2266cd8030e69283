import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { batchOf, ENGINES, temporaryDirectory } from './engine-fixture.js';

const run = promisify(execFile);
const CHILD = fileURLToPath(new URL('engine-child.js', import.meta.url));

for (const { label, engine, io } of ENGINES) {
  describe(`the life of the ${label}`, () => {
    test('when files are opened and closed a thousand times then no descriptor is left', async (context) => {
      const path = await bigFile(context);
      const buffer = engine.allocate(8192);
      // unaligned, so that the second descriptor is opened too
      const batch = batchOf(buffer, [{ offset: 1, length: 5000, position: 0 }]);
      const cycle = async () => {
        const file = await engine.open(path, { mode: 'write' });
        await file.write(batch);
        await file.close();
      };
      await cycle();
      const before = countDescriptors();
      for (let round = 0; round < 1000; round++) await cycle();
      assert.equal(countDescriptors(), before);
    });

    test('when opening fails then no descriptor is left', async (context) => {
      const directory = await temporaryDirectory(context);
      const before = countDescriptors();
      for (let round = 0; round < 100; round++) {
        await assert.rejects(engine.open(directory, { mode: 'read' }));
        await assert.rejects(engine.open('/dev/null', { mode: 'read' }));
      }
      assert.equal(countDescriptors(), before);
    });

    for (const turns of [0, 1, 3, 20]) {
      for (const [ending, code] of [
        ['exit', 0],
        ['drain', 0],
        ['throw', 1],
      ] as const) {
        test(`when a process ends by ${ending} after ${turns} turns with batches in flight then it ends cleanly`, async (context) => {
          const path = await bigFile(context);
          const orders = JSON.stringify({ engine: engine.name, io, path, ending, turns });
          const ended = await run(process.execPath, [CHILD, orders]).then(
            () => ({ code: 0, signal: null, stderr: '' }),
            (error) => error,
          );
          assert.deepEqual([ended.code, ended.signal], [code, null], ended.stderr);
        });
      }

      test(`when a worker is terminated after ${turns} turns with batches in flight then the process lives on`, async (context) => {
        const path = await bigFile(context);
        const before = countDescriptors();
        const workers = [1, 2, 3].map(() =>
          startWorker({ engine: engine.name, io, path, ending: 'repeat', turns }),
        );
        await Promise.all(workers.map((worker) => once(worker, 'message')));
        for (let turn = 0; turn < turns; turn++) {
          await new Promise((resolve) => setImmediate(resolve));
        }
        await Promise.all(workers.map((worker) => worker.terminate()));
        assert.equal(countDescriptors(), before, 'descriptors of the workers are left');
      });
    }

    test('when several workers use the engine at once then all of them finish', async (context) => {
      const path = await bigFile(context);
      const workers = [1, 2, 3, 4].map(() =>
        startWorker({ engine: engine.name, io, path, ending: 'finish', turns: 0 }),
      );
      const codes = await Promise.all(workers.map((worker) => once(worker, 'exit')));
      assert.deepEqual(codes.flat(), [0, 0, 0, 0]);
    });

    test('when buffers are let go then their memory comes back', async () => {
      let peak = 0;
      for (let round = 0; round < 500; round++) {
        engine.allocate(4 * 1024 * 1024).fill(1);
        peak = Math.max(peak, process.memoryUsage.rss());
        await new Promise((resolve) => setImmediate(resolve)); // where Node finalises
      }
      assert.ok(peak < 1.5e9, `2 GB were allocated in turn, and ${peak} bytes were resident`);
    });
  });
}

async function bigFile(context: TestContext): Promise<string> {
  const path = join(await temporaryDirectory(context), 'file');
  await writeFile(path, Buffer.alloc(1024 * 1024, 3));
  await truncate(path, 8 * 1024 * 1024);
  return path;
}

function startWorker(orders: object): Worker {
  return new Worker(CHILD, { workerData: orders, stdout: true });
}

function countDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}
