import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { addPiece, createBatch } from '#lvmsync/block/batch.js';
import { loadEngine } from '#lvmsync/block/engines.js';
import { runCommand } from '../support/command.js';
import { nodeMajor } from '../support/newer-node.js';
import { repositoryRoot } from '../support/repository.js';
import { exposeGarbageCollector, temporaryDirectory } from './engine-fixture.js';

const HUGE_PAGES = '/sys/kernel/mm/transparent_hugepage/enabled';
const MIB = 2 ** 20;
/** Of `--trace-gc-verbose`: what V8 counts after a collection; others than ours may come, too. */
const COUNTED = /External memory reported: +(-?\d+) KB/g;

const { engine } = loadEngine('native');
const collectGarbage = exposeGarbageCollector();

describe('the memory of the native engine', () => {
  const skip = !existsSync(HUGE_PAGES) && 'this kernel has no transparent huge pages';

  test('when a read fills huge pages then there are some for what it fills, and all go back', {
    skip,
  }, async (t) => {
    const before = hugeMappings();
    const during = await hugeMappingsAfter(await dataFile(t, 5 * MIB), {
      bufferBytes: 4 * MIB + 4096,
      pieceBytes: MIB,
      count: 4,
    });
    assert.equal(sum(during) - sum(before), 4 * MIB);
    assert.ok(during.every(({ start }) => start % (2 * MIB) === 0));

    for (let round = 0; round < 3; round++) {
      collectGarbage();
      await new Promise((resolve) => setImmediate(resolve)); // where Node finalises
    }
    assert.deepEqual(hugeMappings(), before);
  });

  for (const [what, bufferBytes, pieceBytes, count] of [
    ['a read is small', 4 * MIB, 4096, 256],
    ['a buffer is smaller than a huge page', 2 * MIB - 4096, 2 * MIB - 4096, 1],
  ] as const) {
    test(`when ${what} then there are none`, { skip }, async (t) => {
      const before = hugeMappings();
      const path = await dataFile(t, 5 * MIB);
      const during = await hugeMappingsAfter(path, { bufferBytes, pieceBytes, count });
      assert.deepEqual(during, before);
    });
  }
});

test('when memory is given back then it goes at once, but for what is under way there', async (t) => {
  const file = await engine.open(await dataFile(t, 64 * MIB), { mode: 'read' });
  const batch = createBatch(engine.allocate(64 * MIB), 64);
  for (let i = 0; i < 64; i++) addPiece(batch, i * MIB, MIB, i * MIB);
  await file.read(batch);
  const before = process.memoryUsage.rss();
  const again = file.read(batch);
  engine.release?.(batch.buffer);
  assert.equal(batch.buffer.length, 0);
  await again;
  await file.close();
  const isGone = () => before - process.memoryUsage.rss() > 32 * MIB;
  // The ring's thread may keep what it has answered for a moment.
  for (let looks = 0; looks < 100 && !isGone(); looks++) await delay(10);
  assert.ok(isGone());
});

test('when a transfer has its buffers then V8 counts none of them up to Node 22, and what is beyond', async () => {
  const script = `
    const addon = require('node-gyp-build')(${JSON.stringify(repositoryRoot)});
    const held = [];
    const take = (count) => { for (; count > 0; count--) held.push(addon.allocate(${4 * MIB})); };
    const look = (what) => { gc(); console.log('#', what); };
    const settle = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    async function main() {
      take(32);
      look('none');
      take(8);
      look('those');
      for (const memory of held.splice(0)) addon.release(memory);
      await settle();
      take(40);
      look('as many');
      held.splice(0);
      for (let round = 0; round < 3; round++) {
        gc(); // what becomes of them is counted later
        await settle();
      }
      look('none again');
      take(33);
      look('the last one');
    }
    main();`;
  const flags = ['--expose-gc', '--trace-gc', '--trace-gc-verbose'];
  const { stdout } = await runCommand(process.execPath, [...flags, '-e', script], {
    cwd: repositoryRoot,
  });
  const looks = stdout.toString().split('#').slice(0, -1);
  const counted = looks.map((said) => Number([...said.matchAll(COUNTED)].at(-1)?.[1]));
  const buffers = counted.map((kibibytes) => Math.round(kibibytes / 4096));
  assert.deepEqual(buffers, nodeMajor < 23 ? [0, 8, 8, 0, 1] : [32, 40, 40, 0, 33]);
});

async function dataFile(t: TestContext, bytes: number): Promise<string> {
  const path = join(await temporaryDirectory(t, repositoryRoot), 'data');
  await writeFile(path, Buffer.alloc(bytes, 1));
  return path;
}

interface Mapping {
  start: number;
  bytes: number;
}

/** What madvise(2) was told MADV_HUGEPAGE for: the flag `hg` of proc(5)'s smaps. */
function hugeMappings(): Mapping[] {
  const mappings: Mapping[] = [];
  let current: Mapping | undefined;
  for (const line of readFileSync('/proc/self/smaps', 'latin1').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line);
    if (range) {
      const [start, end] = [parseInt(range[1]!, 16), parseInt(range[2]!, 16)];
      current = { start, bytes: end - start };
    }
    if (current && /^VmFlags:.* hg\b/.test(line)) mappings.push(current);
  }
  return mappings;
}

interface Read {
  bufferBytes: number;
  pieceBytes: number;
  count: number;
}

/** In a function of its own, so that no frame holds on to the buffer. */
async function hugeMappingsAfter(path: string, read: Read): Promise<Mapping[]> {
  const batch = createBatch(engine.allocate(read.bufferBytes), read.count);
  for (let i = 0; i < read.count; i++) {
    addPiece(batch, i * read.pieceBytes, read.pieceBytes, i * read.pieceBytes);
  }
  const file = await engine.open(path, { mode: 'read' });
  await file.read(batch);
  await file.close();
  assert.equal(batch.buffer[0], 1);
  return hugeMappings();
}

function sum(mappings: readonly Mapping[]): number {
  return mappings.reduce((total, { bytes }) => total + bytes, 0);
}
