import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { planRandomStore, writeStore } from '../support/cow-store.js';
import { lvmsyncOk } from '../support/lvmsync.js';
import { createRandom } from '../support/random.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();

const CASES = [
  { seed: 1, chunkBytes: 4096, originBytes: 8 << 20, exceptionCount: 900, order: 'allocation' },
  {
    seed: 2,
    chunkBytes: 8192,
    originBytes: (8 << 20) + 4096,
    exceptionCount: 600,
    order: 'shuffled',
  },
  {
    seed: 3,
    chunkBytes: 65536,
    originBytes: (16 << 20) + 512,
    exceptionCount: 200,
    order: 'scattered',
  },
  { seed: 4, chunkBytes: 524288, originBytes: 32 << 20, exceptionCount: 20, order: 'shuffled' },
  { seed: 5, chunkBytes: 4096, originBytes: 5_000_001, exceptionCount: 1000, order: 'scattered' },
] as const;

for (const { seed, ...options } of CASES) {
  const { chunkBytes, originBytes } = options;
  test(`when both engines run on a store of ${chunkBytes}-byte chunks and an origin of ${originBytes} bytes, then streams and targets are the same`, async () => {
    const random = createRandom(seed);
    const origin = random.bytes(originBytes);
    const base = Buffer.from(origin);
    const plan = planRandomStore(random, options);
    // The last chunk too, since it is where an origin of an odd size bites.
    const lastChunk = Math.ceil(originBytes / chunkBytes) - 1;
    if (!plan.exceptions.some(([old]) => old === lastChunk)) {
      plan.exceptions = plan.exceptions.map(([old, stored], i) => [
        i === 0 ? lastChunk : old,
        stored,
      ]);
    }
    for (const [old] of plan.exceptions) {
      random.bytes(512).copy(base, old * chunkBytes);
    }
    const path = (name: string) => join(directory, `${seed}-${name}`);
    writeStore(path('cow'), plan);
    writeFileSync(path('origin'), origin);

    const streams: Buffer[] = [];
    for (const engine of ['native', 'js']) {
      const source = ['--cow-device', path('cow'), '--data-source', path('origin')];
      const { stdout } = await lvmsyncOk([...source, '--stdout', '--engine', engine]);
      streams.push(stdout);
      writeFileSync(path(engine), base);
      await lvmsyncOk(['--apply', '-', path(engine), '--engine', engine], { input: stdout });
      assert.ok(readFileSync(path(engine)).equals(origin), `${engine}: target`);
    }
    assert.ok(streams[0]!.equals(streams[1]!), 'streams');
  });
}
