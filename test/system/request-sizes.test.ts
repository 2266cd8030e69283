import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { dataChunk, storeBytesFor, writeStore } from '../support/cow-store.js';
import { lvmsyncOk } from '../support/lvmsync.js';
import { createRandom } from '../support/random.js';
import { temporaryDirectory } from '../support/temp-dir.js';
import { noLoopDevices } from './engine-fixture.js';

/**
 * What the kernel has counted for the devices of a whole run: how large requests really are. A
 * loop device takes 128 pages at a time where they do not lie side by side in memory, so that a
 * request of 1 MiB may come to two.
 */

const directory = temporaryDirectory();
const MIB = 1 << 20;
const DEVICE_BYTES = 24 * MIB;
/** They count as writes of nothing. */
const MAX_FLUSHES = 4;
const origin = createRandom(1).bytes(DEVICE_BYTES);

function attach(context: TestContext, name: string, content: Buffer): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  const device = execFileSync('losetup', ['--find', '--show', path]).toString().trim();
  context.after(() => execFileSync('losetup', ['--detach', device]));
  return device;
}

/** Requests that the driver was given since it was attached (Documentation/block/stat.rst). */
function requestsOf(device: string) {
  const stat = readFileSync(`/sys/block/${basename(device)}/stat`, 'utf8');
  const [reads = 0, , readSectors = 0, , writes = 0, , writtenSectors = 0] = stat
    .trim()
    .split(/\s+/)
    .map(Number);
  return { reads, readBytes: readSectors * 512, writes, writtenBytes: writtenSectors * 512 };
}

function storeOf(name: string, chunkBytes: number, chunks: readonly number[]): string {
  const path = join(directory, name);
  const exceptions = chunks.map((chunk, i) => [chunk, dataChunk(chunkBytes, i)] as const);
  const storeBytes = storeBytesFor(chunkBytes, chunks.length + 1) + chunkBytes;
  writeStore(path, { chunkBytes, storeBytes, exceptions });
  return path;
}

for (const [engine, io] of [
  ['native', 'auto'],
  ['native', 'threads'],
  ['js', 'auto'],
] as const) {
  for (const [what, chunkBytes, chunks, requests] of [
    ['chunks of 4 KiB that touch', 4096, Array.from({ length: 4096 }, (_, i) => 512 + i), 32],
    ['scattered chunks of 4 KiB', 4096, Array.from({ length: 1000 }, (_, i) => 5 * i), 1000],
  ] as const) {
    test(`when ${what} are sent with the ${engine} engine (${io}) then the devices see ${requests} requests at the most`, {
      skip: noLoopDevices,
    }, async (context) => {
      const id = `${engine}-${io}-${requests}`;
      const source = attach(context, `source-${id}`, origin);
      const target = attach(context, `target-${id}`, Buffer.alloc(DEVICE_BYTES));
      const store = storeOf(`store-${id}`, chunkBytes, chunks);
      const before = { source: requestsOf(source), target: requestsOf(target) };
      await lvmsyncOk(
        [
          ...['--cow-device', store, '--data-source', source, target],
          ...['--engine', engine, '--no-verify-base'],
        ],
        { env: { ...process.env, LVMSYNC_IO: io } },
      );
      const read = requestsOf(source);
      const written = requestsOf(target);
      const bytes = chunks.length * chunkBytes;
      assert.equal(read.readBytes - before.source.readBytes, bytes);
      assert.equal(written.writtenBytes - before.target.writtenBytes, bytes);
      const reads = read.reads - before.source.reads;
      const writes = written.writes - before.target.writes;
      assert.ok(reads <= requests, `${reads} reads`);
      assert.ok(writes <= requests + MAX_FLUSHES, `${writes} writes`);
    });
  }
}
