import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { loadEngine } from '#lvmsync/block/engines.js';
import { exposeGarbageCollector } from './engine-fixture.js';

const HUGE_PAGES = '/sys/kernel/mm/transparent_hugepage/enabled';
const MIB = 2 ** 20;

const { engine } = loadEngine('native');
const collectGarbage = exposeGarbageCollector();

describe('the memory of the native engine', () => {
  const skip = !existsSync(HUGE_PAGES) && 'this kernel has no transparent huge pages';

  test('when a buffer has room for huge pages then it asks for them, and gives all back', {
    skip,
  }, async () => {
    const bytes = 4 * MIB + 4096;
    const before = hugeMappings();
    const during = hugeMappingsWith(3, bytes);
    assert.equal(sum(during) - sum(before), 3 * bytes);
    assert.ok(during.every(({ start }) => start % (2 * MIB) === 0));

    for (let round = 0; round < 3; round++) {
      collectGarbage();
      await new Promise((resolve) => setImmediate(resolve)); // where Node finalises
    }
    assert.deepEqual(hugeMappings(), before);
  });

  test('when a buffer is smaller than a huge page then it asks for none', { skip }, () => {
    const before = hugeMappings();
    const buffer = engine.allocate(2 * MIB - 1);
    assert.deepEqual(hugeMappings(), before);
    assert.equal(buffer.length, 2 * MIB - 1);
  });
});

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

/** In a function of its own, so that no frame holds on to a buffer. */
function hugeMappingsWith(count: number, bytes: number): Mapping[] {
  const buffers = Array.from({ length: count }, () => engine.allocate(bytes).fill(1));
  const mappings = hugeMappings();
  assert.equal(buffers.length, count);
  return mappings;
}

function sum(mappings: readonly Mapping[]): number {
  return mappings.reduce((total, { bytes }) => total + bytes, 0);
}
