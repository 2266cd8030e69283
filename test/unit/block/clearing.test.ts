import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Batch, Ranges } from '#lvmsync/block/batch.js';
import { type ClearingWay, createClearing } from '#lvmsync/block/clearing.js';
import { createJsEngine } from '#lvmsync/block/js-engine.js';

type Range = [offset: number, length: number];

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const engine = createJsEngine();

interface Arrangement {
  thinVolume?: boolean;
  /** What the kernel answers, by the way it is asked for; nothing: it does it. */
  errnos?: Partial<Record<ClearingWay, string>>;
  /** Ranges that do not read as zeroes. */
  dirty?: Range[];
}

/** A file whose kernel and writes are recorded. */
function arrange({ thinVolume = false, errnos = {}, dirty = [] }: Arrangement) {
  const asked: [ClearingWay, Range[]][] = [];
  const written: Range[] = [];
  const clearing = createClearing({
    engine,
    kernel: {
      alignBytes: 4096,
      thinVolume,
      async clear(way, ranges) {
        asked.push([way, listOf(ranges)]);
        return errnos[way];
      },
    },
    async read({ buffer, count, offsets, lengths, positions }) {
      for (let i = 0; i < count; i++) {
        const [start, end] = [offsets[i]!, offsets[i]! + lengths[i]!];
        const position = positions[i]! - start;
        buffer.fill(0, position + start, position + end);
        for (const [offset, length] of dirty) {
          const from = Math.max(start, offset);
          const to = Math.min(end, offset + length);
          if (from < to) buffer.fill(1, position + from, position + to);
        }
      }
    },
    async write(batch: Batch) {
      for (let i = 0; i < batch.count; i++) {
        const { buffer, positions, lengths } = batch;
        const bytes = buffer.subarray(positions[i]!, positions[i]! + lengths[i]!);
        assert.ok(bytes.every((byte) => byte === 0) && bytes.length === lengths[i]);
      }
      written.push(...listOf(batch));
    },
  });
  return { clearing, asked, written };
}

function listOf({ count, offsets, lengths }: Ranges): Range[] {
  return Array.from({ length: count }, (_, i) => [offsets[i]!, lengths[i]!]);
}

function rangesOf(...list: Range[]): Ranges {
  return {
    count: list.length,
    offsets: Float64Array.from(list, ([offset]) => offset),
    lengths: Uint32Array.from(list, ([, length]) => length),
  };
}

/** The ranges, ascending, joined where they touch. */
function joined(list: readonly Range[]): Range[] {
  const result: Range[] = [];
  for (const [offset, length] of list.toSorted((a, b) => a[0] - b[0])) {
    const last = result.at(-1);
    if (last && last[0] + last[1] === offset) last[1] += length;
    else result.push([offset, length]);
  }
  return result;
}

test('when a range is long, then the kernel clears its aligned middle and the edges are written', async () => {
  const { clearing, asked, written } = arrange({});
  await clearing.zero(rangesOf([1000, 400 * KIB], [MIB, 256 * KIB]));
  assert.deepEqual(asked, [
    [
      'zero',
      [
        [4096, 396 * KIB],
        [MIB, 256 * KIB],
      ],
    ],
  ]);
  assert.deepEqual(written, [
    [1000, 3096],
    [400 * KIB, 1000],
  ]);
});

test('when ranges are short, then they are written together and the kernel is not asked', async () => {
  const { clearing, asked, written } = arrange({});
  const list = Array.from({ length: 300 }, (_, i): Range => [i * 8192, 4096]);
  await clearing.zero(rangesOf(...list));
  assert.deepEqual([asked, written], [[], list]);
});

test('when a range is of a chunk of a thin volume, then it is discarded; elsewhere it is not worth a call', async () => {
  const chunk: Range = [MIB, 64 * KIB];
  const thin = arrange({ thinVolume: true });
  await thin.clearing.zero(rangesOf(chunk));
  assert.deepEqual([thin.asked, thin.written], [[['discard', [chunk]]], []]);
  const thick = arrange({});
  await thick.clearing.zero(rangesOf(chunk));
  assert.deepEqual([thick.asked, thick.written], [[], [chunk]]);
});

test('when zeroes may be written beside data, then only where that is what would be done anyway', async () => {
  assert.equal(arrange({ thinVolume: true }).clearing.writesZeroesBelow, 0);
  const { clearing, asked } = arrange({ errnos: { zero: 'EINVAL' } });
  const shortest = clearing.writesZeroesBelow;
  await clearing.zero(rangesOf([0, shortest - 4096]));
  assert.deepEqual(asked, []);
  await clearing.zero(rangesOf([0, shortest]));
  assert.equal(asked.length, 1);
  assert.equal(clearing.writesZeroesBelow, Number.POSITIVE_INFINITY);
});

test('when ranges are huge, then each call to the kernel is a bounded step and nothing is left out', async () => {
  const { clearing, asked, written } = arrange({});
  const list: Range[] = [
    [4096, 4 * GIB - 4096],
    [1024 * GIB, 4 * GIB - 512],
  ];
  await clearing.zero(rangesOf(...list));
  for (const [, step] of asked) {
    const bytes = step.reduce((sum, [, length]) => sum + length, 0);
    assert.ok(bytes <= 256 * MIB, `${bytes} bytes in one step`);
  }
  assert.deepEqual(joined([...asked.flatMap(([, step]) => step), ...written]), list);
});

for (const [way, errnos, asks] of [
  ['zero', { zero: 'EOPNOTSUPP' }, ['zero']],
  ['zero', { zero: 'EINVAL' }, ['zero']],
  ['zero', { zero: 'EIO' }, ['zero', 'zero', 'zero']],
  ['discard', { discard: 'ENOTSUP' }, ['discard', 'zero', 'zero', 'zero']],
  ['discard', { discard: 'ENOTTY', zero: 'EPERM' }, ['discard', 'zero']],
] as const) {
  const answers = Object.values(errnos).join(' and ');
  test(`when the kernel answers ${answers} to ${way}, then all is written or zeroed, and a refusal is for good`, async () => {
    const { clearing, asked, written } = arrange({ errnos });
    const list: Range[] = [];
    for (let round = 0; round < 3; round++) {
      const range: Range = [round * MIB + 512, 512 * KIB];
      list.push(range);
      await clearing[way](rangesOf(range));
    }
    assert.deepEqual(
      asked.map(([asking]) => asking),
      asks,
    );
    const done = asked.filter(([asking]) => !(asking in errnos)).flatMap(([, step]) => step);
    assert.deepEqual(joined([...done, ...written]), list);
  });
}

test('when a thin volume discards, then only what does not read as zeroes is written', async () => {
  const dirty: Range[] = [
    [1000, 10],
    [3 * MIB - 512, 512],
  ];
  const { clearing, asked, written } = arrange({ thinVolume: true, dirty });
  await clearing.discard(rangesOf([512, 3 * MIB - 512], [5 * MIB, 100]));
  assert.deepEqual(asked, [['discard', [[4096, 3 * MIB - 4096]]]]);
  assert.deepEqual(written, [
    [512, 3584],
    [3 * MIB - 4096, 4096],
  ]);
});
