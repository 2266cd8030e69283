import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createJsEngine } from '#lvmsync/block/js-engine.js';
import { inspectFile, inspectSource } from '#lvmsync/receive/inspect.js';
import type { Inspection } from '#lvmsync/receive/inspect-findings.js';
import { fuzzCases, runCases } from '../../support/fuzz.js';
import {
  type Extent,
  encodeHello,
  encodeJson,
  encodeRecord,
  encodeTransfer,
  LABEL,
  TYPE,
  totalsOf,
} from '../../support/proto4.js';
import { createRandom, type Random } from '../../support/random.js';
import { temporaryDirectory } from '../../support/temp-dir.js';

const directory = temporaryDirectory();
const engine = createJsEngine();
const VOLUME_BYTES = 1 << 20;

function fromInput(bytes: Buffer): Promise<Inspection> {
  let position = 0;
  const read = async (into: Buffer) => {
    const copied = bytes.copy(into, 0, position);
    position += copied;
    return copied;
  };
  return inspectSource({ description: 'the test', read }, { engine });
}

function fromFile(bytes: Buffer): Promise<Inspection> {
  const path = join(directory, 'file');
  writeFileSync(path, bytes);
  return inspectFile(path, { engine });
}

function data(extents: Extent[], random: Random): Buffer {
  const bytes = extents.reduce((sum, [, length]) => sum + length, 0);
  return encodeRecord(TYPE.data, extents, random.bytes(bytes));
}

function makeStream(random: Random): Buffer {
  return encodeTransfer(VOLUME_BYTES, [
    data([[0, 512]], random),
    encodeRecord(TYPE.zero, [[8192, 4096]]),
    data(
      [
        [65_536, 1024],
        [131_072, 512],
      ],
      random,
    ),
    encodeRecord(TYPE.discard, [[VOLUME_BYTES - 4096, 4096]]),
  ]);
}

function makeLog(random: Random): Buffer {
  const log = '0123456789abcdef0123456789abcdef';
  const source = {
    ...{ id: 'test', sizeBytes: VOLUME_BYTES, chunkBytes: 4096 },
    extents: { count: 0, bytes: 0, digest: '' },
  };
  const begunAtMs = 1_700_000_000_123;
  const hello = { version: '0', run: log, capabilities: [], source, log, begunAtMs };
  const records = [data([[0, 4096]], random), data([[8192, 4096]], random)];
  const parts: Buffer[] = [LABEL, encodeJson(TYPE.hello, hello)];
  const length = () => Buffer.concat(parts).length;
  for (const record of records) {
    parts.push(record);
    parts.push(encodeJson(TYPE.durable, { log, bytes: length() }));
  }
  parts.push(encodeJson(TYPE.end, { log, bytes: length(), ...totalsOf(records) }));
  return Buffer.concat(parts);
}

test('when a stream has data, zeroes and discards, then each is counted, and all of it covered', async () => {
  const stream = makeStream(createRandom(1));
  const found = await fromInput(stream);
  assert.equal(found.state, 'whole');
  assert.deepEqual(found.records, { data: 2, zero: 1, discard: 1 });
  assert.deepEqual([found.extentCount, found.dataBytes], [5, 512 + 4096 + 1024 + 512 + 4096]);
  assert.deepEqual([found.wholeBytes, found.fileBytes], [stream.length, stream.length]);
  const { covered } = found.coverage.bins();
  assert.equal(
    covered.reduce((sum, bytes) => sum + bytes, 0),
    found.dataBytes,
  );
});

test('when a log is whole, then it says whose it is and when its run began', async () => {
  const log = makeLog(createRandom(2));
  for (const found of [await fromInput(log), await fromFile(log)]) {
    assert.deepEqual([found.kind, found.state], ['undo-log', 'whole']);
    assert.deepEqual([found.records.data, found.dataBytes], [2, 8192]);
    assert.equal(found.header?.log?.begunAtMs, 1_700_000_000_123);
    assert.equal(found.wholeBytes, log.length);
  }
});

test('when a log lacks its end but nothing else, then it is unended, and not whole', async () => {
  const log = makeLog(createRandom(3));
  const endBytes = 32 + (log.length - log.lastIndexOf('{"log"'));
  const cut = log.subarray(0, log.length - endBytes);
  for (const found of [await fromInput(cut), await fromFile(cut)]) {
    assert.deepEqual([found.state, found.problem], ['unended', undefined]);
  }
});

for (const [what, make] of [
  ['stream', makeStream],
  ['log', makeLog],
] as const) {
  test(`when any single bit of a ${what} is flipped, then it is never called whole, and the byte that is told is none behind it`, async () => {
    const whole = make(createRandom(4));
    const from = what === 'log' ? fromFile : fromInput;
    await runCases(fuzzCases(0.1), async (seed) => {
      const random = createRandom(seed);
      const bytes = Buffer.from(whole);
      const at = random.below(bytes.length);
      bytes[at]! ^= 1 << random.below(8);
      const found = await (random.chance(0.5) ? from(bytes) : fromInput(bytes));
      assert.notEqual(found.state, 'whole', `byte ${at}`);
      assert.notEqual(found.state, 'unproven', `byte ${at}`);
      assert.ok(found.problem !== undefined && found.problem.offset <= Math.max(at, 64));
      return found.state;
    });
  });

  test(`when a ${what} is cut at any byte, then it is never called whole`, async () => {
    const whole = make(createRandom(5));
    for (let length = 0; length < whole.length; length += length < 400 ? 1 : 37) {
      const found = await fromInput(whole.subarray(0, length));
      assert.ok(found.state !== 'whole' && found.state !== 'unproven', `${length}`);
      if (found.state === 'truncated') assert.equal(found.problem?.offset, length);
    }
  });
}

test('when a PROTO[3] stream is damaged at random, then it neither fails nor is called whole', async () => {
  const outcomes = await runCases(fuzzCases(0.05), async (seed) => {
    const random = createRandom(seed);
    const parts: Buffer[] = [Buffer.from('lvmsync PROTO[3]\n')];
    for (let i = 0; i < 8; i++) {
      const header = Buffer.alloc(12);
      header.writeBigUInt64BE(BigInt(i * 8192));
      header.writeUInt32BE(512, 8);
      parts.push(header, random.bytes(512));
    }
    const bytes = Buffer.concat(parts);
    for (let flips = random.below(9); flips > 0; flips--) {
      bytes[17 + 524 * random.below(8) + random.below(12)]! ^= 1 << random.below(8);
    }
    const { state } = await fromInput(bytes);
    assert.notEqual(state, 'whole');
    return state;
  });
  assert.deepEqual([...outcomes.keys()].sort(), ['damaged', 'truncated', 'unproven']);
});

test('when hostile records have right checksums, then they are told of all the same', async () => {
  const good = encodeRecord(TYPE.data, [[0, 512]], Buffer.alloc(512));
  const far = encodeRecord(TYPE.data, [[4096, 512]], Buffer.alloc(512));
  const long = encodeRecord(TYPE.data, [[0, 1024]], Buffer.alloc(512));
  const hello = encodeHello(4096);
  const streams: [string, Buffer][] = [
    ['beyond the end of the volume', encodeTransfer(4096, [far])],
    ['longer than what it holds', encodeTransfer(4096, [long])],
    ['a record behind the end', Buffer.concat([encodeTransfer(4096, [good]), good])],
    ['a stream behind the stream', Buffer.concat([encodeTransfer(4096, [good]), LABEL])],
    ['no hello', Buffer.concat([LABEL, good])],
    ['an answer', Buffer.concat([LABEL, hello, encodeRecord(TYPE.receipt, [])])],
    ['an unknown type', Buffer.concat([LABEL, hello, encodeRecord(99, [])])],
    [
      'an end without its records',
      Buffer.concat([LABEL, hello, encodeJson(TYPE.end, totalsOf([good]))]),
    ],
    ['a volume too large to count', Buffer.concat([LABEL, encodeHello(2 ** 60)])],
  ];
  for (const [what, bytes] of streams) {
    const found = await fromInput(bytes);
    assert.equal(found.state, 'damaged', what);
  }
});

test('when a few bytes claim a huge volume, then that costs no more than any other', async () => {
  const zero = encodeRecord(TYPE.zero, [
    [0, 0xffff_fe00],
    [0xffff_fe00, 0xffff_fe00],
  ]);
  const last = encodeRecord(TYPE.discard, [[2 ** 52 - 512, 512]]);
  const found = await fromInput(encodeTransfer(2 ** 52, [zero, last]));
  assert.deepEqual([found.state, found.coverage.end], ['whole', 2 ** 52]);
});
