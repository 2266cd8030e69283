import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createBufferPool } from '#lvmsync/block/buffer-pool.js';

function countingPool(count: number) {
  const allocations: number[] = [];
  const released: Buffer[] = [];
  const engine = {
    release: (buffer: Buffer) => void released.push(buffer),
    allocate(bytes: number) {
      allocations.push(bytes);
      return Buffer.alloc(bytes);
    },
  };
  return { allocations, released, pool: createBufferPool(engine, { bufferBytes: 4096, count }) };
}

test('when a pool is made then nothing is allocated before it is needed', async () => {
  const { pool, allocations } = countingPool(3);
  assert.deepEqual(allocations, []);
  const first = await pool.acquire();
  pool.release(first);
  assert.equal(await pool.acquire(), first);
  assert.deepEqual(allocations, [4096]);
});

test('when all buffers are out then the next waits, and they are served in their order', async () => {
  const { pool, allocations } = countingPool(2);
  const [first, second] = [await pool.acquire(), await pool.acquire()];
  assert.notEqual(first, second);
  const served: [string, Buffer][] = [];
  const waiting = ['a', 'b', 'c'].map((name) =>
    pool.acquire().then((buffer) => served.push([name, buffer])),
  );
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(served, []);

  pool.release(second);
  pool.release(first);
  await Promise.all(waiting.slice(0, 2));
  pool.release(first);
  await Promise.all(waiting);
  assert.deepEqual(served, [
    ['a', second],
    ['b', first],
    ['c', first],
  ]);
  assert.deepEqual(allocations, [4096, 4096]);
});

test('when memory cannot be had then acquire rejects, and the pool goes on', async () => {
  let fail = true;
  const engine = {
    allocate(bytes: number) {
      if (fail) throw new RangeError('out of memory');
      return Buffer.alloc(bytes);
    },
  };
  const pool = createBufferPool(engine, { bufferBytes: 4096, count: 1 });
  await assert.rejects(pool.acquire(), RangeError);
  fail = false;
  assert.equal((await pool.acquire()).length, 4096);
});

test('when a pool is closed then nobody gets a buffer any more, and nobody waits for one', async () => {
  const { pool } = countingPool(1);
  const buffer = await pool.acquire();
  const waiting = pool.acquire();
  pool.close(new Error('they do not come back'));
  await assert.rejects(waiting, /they do not come back/);
  pool.release(buffer);
  pool.close();
  await assert.rejects(pool.acquire(), /they do not come back/);
});

test('when a pool is closed then its memory is given back, once nobody has it any more', async () => {
  const { pool, released } = countingPool(2);
  const [first, second] = [await pool.acquire(), await pool.acquire()];
  pool.release(first);
  pool.close();
  assert.deepEqual(released, [first]);
  pool.release(second);
  assert.deepEqual(released, [first, second]);
});
