import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Engine } from '#lvmsync/block/engine.js';
import { loadEngine } from '#lvmsync/block/engines.js';
import { LvmsyncError } from '#lvmsync/errors.js';
import { applyStream } from '#lvmsync/receive/apply.js';
import { rollback } from '#lvmsync/receive/rollback.js';
import type { ByteSource } from '#lvmsync/stream/bytes.js';
import { fuzzCases } from '../../support/fuzz.js';
import { createRandom, type Random } from '../../support/random.js';

/**
 * Seeded damage to streams, through the real receiver onto a real file. What must happen is
 * worked out here by a model that reads the stream one record after the other.
 */
const RUNS = fuzzCases(0.3);
const HANDSHAKE = 'lvmsync PROTO[3]\n';
const EXPECTED_CODES = new Set([
  'STREAM_UNKNOWN',
  'STREAM_TRUNCATED',
  'STREAM_DAMAGED',
  'PAST_END',
]);

const directory = mkdtempSync(join(tmpdir(), 'lvmsync-fuzz-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const targetPath = join(directory, 'target');
const snapbackPath = join(directory, 'snapback');

const pool = createRandom(1).bytes(1 << 20);

/** Faster than drawing each. */
function randomBytes(random: Random, count: number): Buffer {
  const start = random.below(pool.length - count);
  return Buffer.from(pool.subarray(start, start + count));
}

interface Write {
  offset: number;
  data: Buffer;
}

interface Expectation {
  /** Whether the stream is whole and fits. */
  valid: boolean;
  /** What may have been written; when valid, must have been, in this order. */
  writes: Write[];
}

function expectation(stream: Buffer, targetBytes: number): Expectation {
  const writes: Write[] = [];
  const lineEnd = stream.subarray(0, 64).indexOf('\n');
  const line = stream.toString('latin1', 0, Math.max(lineEnd, 0));
  if (line !== 'lvmsync PROTO[3]' && line !== 'lvmsync PROTO[3]\r') {
    return { valid: false, writes };
  }
  for (let position = lineEnd + 1; position < stream.length; ) {
    if (stream.length - position < 12) {
      return { valid: false, writes };
    }
    const offset = stream.readBigUInt64BE(position);
    const length = stream.readUInt32BE(position + 8);
    if (offset + BigInt(length) > BigInt(targetBytes)) {
      return { valid: false, writes };
    }
    const data = stream.subarray(position + 12, position + 12 + length);
    writes.push({ offset: Number(offset), data });
    if (data.length < length) {
      return { valid: false, writes };
    }
    position += 12 + length;
  }
  return { valid: true, writes };
}

function record(offset: bigint | number, length: number, data: Buffer): Buffer {
  const header = Buffer.alloc(12);
  header.writeBigUInt64BE(BigInt.asUintN(64, BigInt(offset)));
  header.writeUInt32BE(length, 8);
  return Buffer.concat([header, data]);
}

function randomRecords(random: Random, targetBytes: number): Buffer[] {
  return Array.from({ length: random.below(12) }, () => {
    const aligned = random.chance(0.6);
    const offset = aligned ? random.below(targetBytes >> 12) * 4096 : random.below(targetBytes);
    const wanted = aligned ? 4096 * (1 + random.below(3)) : random.below(9000);
    const length = Math.min(wanted, targetBytes - offset);
    return record(offset, length, randomBytes(random, length));
  });
}

type Mutation = (random: Random, records: Buffer[], targetBytes: number) => void;

const MUTATIONS: Record<string, Mutation> = {
  'offset near the end'(random, records, targetBytes) {
    const offset = targetBytes - 4096 + random.below(8192);
    records.push(record(offset, 4096, randomBytes(random, 4096)));
  },
  'offset huge'(random, records) {
    const offset = random.pick([
      2n ** 64n - 4096n,
      2n ** 63n,
      2n ** 53n,
      2n ** 53n + 1n,
      2n ** 32n,
    ]);
    records.push(record(offset, 4096, randomBytes(random, 4096)));
  },
  'offset little-endian'(random, records) {
    for (const one of records) one.subarray(0, 8).reverse();
    records.push(record(0x0010_0000_0000_0000n, 64, randomBytes(random, 64)));
  },
  'length wrong'(random, records, targetBytes) {
    const length = random.pick([
      0,
      1,
      4095,
      4097,
      targetBytes,
      targetBytes + 1,
      2 ** 31,
      2 ** 32 - 1,
    ]);
    records.push(record(0, length, randomBytes(random, 4096)));
  },
  'length zero'(random, records, targetBytes) {
    const offset = random.pick([0, 1, targetBytes - 1, targetBytes, targetBytes + 1]);
    records.splice(random.below(records.length + 1), 0, record(offset, 0, Buffer.alloc(0)));
  },
  'record repeated'(random, records) {
    if (records.length > 0) records.push(...records.slice(random.below(records.length)));
  },
  'records shuffled'(random, records) {
    random.shuffle(records);
  },
  'same place many times'(random, records, targetBytes) {
    const offset = random.below(targetBytes - 512);
    for (let time = random.below(40); time >= 0; time--) {
      records.push(record(offset + random.below(100), 400, randomBytes(random, 400)));
    }
  },
  'second handshake'(random, records) {
    records.splice(random.below(records.length + 1), 0, Buffer.from(HANDSHAKE));
  },
};

/** More than the receiver holds in one buffer, so that it comes in several batches. */
function addManyRecords(random: Random, records: Buffer[], targetBytes: number): void {
  for (let bytes = 0; bytes < 1.2 * 2 ** 20; ) {
    const offset = random.below(targetBytes);
    const length = Math.min(random.below(8192), targetBytes - offset);
    records.push(record(offset, length, randomBytes(random, length)));
    bytes += length + 12;
  }
}

const DAMAGE: Record<string, (random: Random, stream: Buffer) => Buffer> = {
  none: (_, stream) => stream,
  cut: (random, stream) => stream.subarray(0, random.below(stream.length + 1)),
  'bits flipped'(random, stream) {
    const copy = Buffer.from(stream);
    for (let times = random.below(8); times >= 0; times--) {
      copy[random.below(copy.length)]! ^= 1 << random.below(8);
    }
    return copy;
  },
  'bytes inserted'(random, stream) {
    const at = random.below(stream.length + 1);
    const bytes = randomBytes(random, 1 + random.below(20));
    return Buffer.concat([stream.subarray(0, at), bytes, stream.subarray(at)]);
  },
  'bytes removed'(random, stream) {
    const at = random.below(stream.length);
    return Buffer.concat([stream.subarray(0, at), stream.subarray(at + 1 + random.below(20))]);
  },
  'handshake replaced'(random, stream) {
    const handshake = random.pick([
      'lvmsync PROTO[3]\r\n',
      'lvmsync PROTO[3] \n',
      'lvmsync PROTO[3] compress\n',
      'lvmsync PROTO[1]\n',
      'lvmsync PROTO[2]\n',
      'lvmsync PROTO[4]\n',
      'lvmsync PROTO[03]\n',
      'lvmsync PROTO[3]\r\r\n',
      'lvmsync PROTO[3]',
      'LVMSYNC PROTO[3]\n',
      ' lvmsync PROTO[3]\n',
      'bash: lvmsync: command not found\n',
      `lvmsync PROTO[3]${' '.repeat(64)}\n`,
      '\n',
      '',
    ]);
    return Buffer.concat([Buffer.from(handshake), stream.subarray(HANDSHAKE.length)]);
  },
  garbage: (random) => randomBytes(random, random.below(5000)),
};

/** Hands the bytes out in pieces of random length, as a pipe does. */
function dribble(random: Random, bytes: Buffer): ByteSource & { rewind(): void } {
  let position = 0;
  const most = random.chance(0.05) ? 17 : random.pick([1 << 20, 5000, 500]);
  return {
    description: 'the stream',
    async read(into) {
      const length = bytes.copy(into, 0, position, position + 1 + random.below(most));
      position += length;
      return length;
    },
    rewind() {
      position = 0;
    },
  };
}

/** As `dribble`, but of what cannot be read twice. */
function dribbleOnce(random: Random, bytes: Buffer): ByteSource {
  const { description, read } = dribble(random, bytes);
  return { description, read };
}

/** Every byte is what it was, or what some record put there. */
function assertOnlyWritten(content: Buffer, base: Buffer, writes: readonly Write[]): void {
  for (let at = 0; at < content.length; at++) {
    const value = content[at];
    if (value === base[at]) {
      continue;
    }
    const writer = writes.find(({ offset, data }) => at >= offset && data[at - offset] === value);
    assert.ok(writer, `byte ${at} was written by nobody`);
  }
}

async function runOnce(seed: number, engine: Engine): Promise<string> {
  const random = createRandom(seed);
  const targetBytes = random.pick([8192, 32768, 50_001, 12_289]);
  const base = randomBytes(random, targetBytes);
  const records = randomRecords(random, targetBytes);
  if (random.chance(0.01)) {
    addManyRecords(random, records, targetBytes);
  }
  if (random.chance(0.7)) {
    MUTATIONS[random.pick(Object.keys(MUTATIONS))]!(random, records, targetBytes);
  }
  const whole = Buffer.concat([Buffer.from(HANDSHAKE), ...records]);
  const damage = random.chance(0.7) ? random.pick(Object.keys(DAMAGE)) : 'none';
  const stream = DAMAGE[damage]!(random, whole);
  const { valid, writes } = expectation(stream, targetBytes);
  const withSnapback = random.chance(0.3);
  const fromFile = random.chance(0.3);

  writeFileSync(targetPath, base);
  const input = (fromFile ? dribble : dribbleOnce)(random, stream);
  const snapbackFormat = random.pick([3, 4] as const);
  const options = {
    input,
    targetPath,
    engine,
    ...(withSnapback && { snapbackPath, snapbackFormat }),
  };
  const outcome = await applyStream(options).then(
    () => 'applied',
    (error: unknown) => {
      assert.ok(error instanceof LvmsyncError, `not an LvmsyncError: ${error}`);
      assert.ok(!error.message.includes('\n'));
      return error.code;
    },
  );

  const content = readFileSync(targetPath);
  assert.equal(content.length, targetBytes, 'the size changed');
  const files = withSnapback && (valid || !fromFile) ? ['snapback', 'target'] : ['target'];
  assert.deepEqual(readdirSync(directory).sort(), files);
  if (valid) {
    assert.equal(outcome, 'applied');
    const expected = Buffer.from(base);
    for (const { offset, data } of writes) data.copy(expected, offset);
    assert.ok(content.equals(expected), 'the target is not what the stream says');
  } else {
    assert.ok(EXPECTED_CODES.has(outcome), `it ended with ${outcome}`);
    // A file is checked whole before the target is touched.
    assertOnlyWritten(content, base, fromFile ? [] : writes);
  }
  if (existsSync(snapbackPath)) {
    await rollback({ snapbackPath, targetPath, engine });
    rmSync(snapbackPath);
    assert.ok(readFileSync(targetPath).equals(base), 'the snapback does not restore');
  }
  return outcome;
}

test(`when streams are damaged in ${RUNS} seeded ways then each applies as it says or is refused`, {
  timeout: 3_600_000,
}, async (context) => {
  const engines = [loadEngine('native').engine, loadEngine('js').engine];
  const outcomes = new Map<string, number>();
  for (let seed = 1; seed <= RUNS; seed++) {
    try {
      const outcome = await runOnce(seed, engines[seed % 2]!);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    } catch (error) {
      throw new Error(`seed ${seed}: ${error}`, { cause: error });
    }
  }
  context.diagnostic(JSON.stringify(Object.fromEntries(outcomes)));
  // The damage is neither so great nor so small that only one way was tried.
  for (const outcome of ['applied', 'STREAM_UNKNOWN', 'STREAM_TRUNCATED', 'PAST_END']) {
    assert.ok((outcomes.get(outcome) ?? 0) > RUNS / 50, `${outcome} was hardly met`);
  }
});
