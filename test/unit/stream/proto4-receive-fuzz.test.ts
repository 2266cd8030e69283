import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, test } from 'node:test';
import type { Engine } from '#lvmsync/block/engine.js';
import { loadEngine } from '#lvmsync/block/engines.js';
import { contentHash } from '#lvmsync/checksum/content-hash.js';
import { LvmsyncError } from '#lvmsync/errors.js';
import { applyStream } from '#lvmsync/receive/apply.js';
import { rollback } from '#lvmsync/receive/rollback.js';
import type { ByteSource } from '#lvmsync/stream/bytes.js';
import { isRefusalOfPeer } from '#lvmsync/stream/messages.js';
import {
  boundBuffers,
  boundedEngine,
  DAMAGE,
  fuzzCases,
  randomBytes,
  runCases,
} from '../../support/fuzz.js';
import {
  applied,
  decodeRecord,
  encodeEnd,
  encodeHello,
  encodeRecord,
  LABEL,
  splitStream,
  TYPE,
} from '../../support/proto4.js';
import { MUTATIONS, randomExtents } from '../../support/proto4-mutations.js';
import { createRandom, type Random } from '../../support/random.js';

/** A hostile sender: its streams through the whole receiver, onto a real file. */
const CASES = fuzzCases(0.4);

const directory = mkdtempSync(join(tmpdir(), 'lvmsync-fuzz-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const state = mkdtempSync(join(tmpdir(), 'lvmsync-fuzz-state-'));
after(() => rmSync(state, { recursive: true, force: true }));
process.env.LVMSYNC_STATE_DIR = state;
const targetPath = join(directory, 'target');
const snapbackPath = join(directory, 'snapback');

const EXPECTED_CODES = new Set([
  'STREAM_UNKNOWN',
  'STREAM_TRUNCATED',
  'STREAM_DAMAGED',
  'PAST_END',
  'TARGET_TOO_SMALL',
]);

const DATA_TYPES: readonly number[] = [TYPE.data, TYPE.zero, TYPE.discard];

/** A transfer as a proper sender would make it, CHECKs included. */
function properRecords(random: Random, base: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let count = random.below(3); count > 0; count--) {
    const extents = randomExtents(random, base.length);
    const hashes = extents.map(([offset, length]) =>
      contentHash(base.subarray(offset, offset + length)),
    );
    records.push(encodeRecord(TYPE.check, extents, Buffer.concat(hashes)));
  }
  let end = 0; // records of one transfer do not overlap
  for (let count = random.below(6); count > 0 && base.length - end > 512; count--) {
    const extents = randomExtents(random, base.length - end).map(
      ([offset, length]) => [offset + end, length] as const,
    );
    const [lastOffset, lastLength] = extents.at(-1)!;
    end = Math.ceil((lastOffset + lastLength) / 512) * 512;
    const bytes = extents.reduce((sum, [, length]) => sum + length, 0);
    const type = random.pick(DATA_TYPES);
    const payload = randomBytes(random, type === TYPE.data ? bytes : 0);
    records.push(encodeRecord(type, extents, payload));
  }
  return records;
}

/** Hands the bytes out in pieces of random length, as a pipe does. */
function dribble(random: Random, bytes: Buffer): ByteSource {
  let position = 0;
  const most = random.chance(0.05) ? 17 : random.pick([1 << 20, 5000, 500]);
  return {
    description: 'the stream',
    async read(into) {
      const length = bytes.copy(into, 0, position, position + 1 + random.below(most));
      position += length;
      return length;
    },
  };
}

function rewindable(bytes: Buffer): ByteSource & { rewind(): void } {
  let position = 0;
  return {
    description: 'the stream',
    async read(into) {
      const length = bytes.copy(into, 0, position);
      position += length;
      return length;
    },
    rewind() {
      position = 0;
    },
  };
}

/** The DATA, ZERO and DISCARD records of a stream up to its first defect, each as what it would write. */
function writesOf(stream: Buffer): { offset: number; data: Buffer }[] {
  const writes: { offset: number; data: Buffer }[] = [];
  for (let at = LABEL.length; at + 32 <= stream.length; ) {
    const bytes = 32 + stream.readUInt16BE(at + 2) * 8 + stream.readUInt32BE(at + 4);
    if (at + bytes > stream.length) break;
    try {
      const { type, extents, payload } = decodeRecord(stream.subarray(at, at + bytes));
      let position = 0;
      for (const [offset, length] of extents) {
        if (type === TYPE.data) {
          writes.push({ offset, data: payload.subarray(position, position + length) });
        } else if (DATA_TYPES.includes(type) && length < 1 << 20) {
          writes.push({ offset, data: Buffer.alloc(length) });
        }
        position += length;
      }
    } catch {
      break;
    }
    at += bytes;
  }
  return writes;
}

/** Every byte is what it was, or what some record put there. */
function assertOnlyWritten(content: Buffer, base: Buffer, stream: Buffer): void {
  if (content.equals(base)) return;
  const writes = writesOf(stream);
  for (let at = 0; at < content.length; at++) {
    const value = content[at];
    if (value === base[at]) continue;
    const writer = writes.find(({ offset, data }) => at >= offset && data[at - offset] === value);
    assert.ok(writer, `byte ${at} was written by nobody`);
  }
}

async function runOnce(seed: number, engine: Engine): Promise<string> {
  const random = createRandom(seed);
  const targetBytes = random.pick([8192, 32768, 12_289]);
  const base = randomBytes(random, targetBytes);
  const records = properRecords(random, base);
  let sound = true;
  const mutate = () => {
    if (!random.chance(0.8)) return;
    sound = false;
    MUTATIONS[random.pick(Object.keys(MUTATIONS))]!(random, records, targetBytes);
  };
  // Half of them lie so well that the sums are right too.
  const consistent = random.chance(0.5);
  if (consistent && records.length > 0) mutate();
  const end = encodeEnd(records.filter((record) => DATA_TYPES.includes(record[0]!)));
  records.unshift(encodeHello(random.chance(0.95) ? targetBytes : targetBytes + 1));
  records.push(end);
  if (!consistent) mutate();
  let stream = Buffer.concat([LABEL, ...records]);
  if (random.chance(0.4)) {
    sound = false;
    stream = Buffer.from(DAMAGE[random.pick(Object.keys(DAMAGE))]!(random, stream));
  }
  if (!records[0]!.equals(encodeHello(targetBytes))) sound = false;

  const fromFile = random.chance(0.4);
  const withAnswers = !fromFile && random.chance(0.8);
  const withSnapback = random.chance(0.2);
  writeFileSync(targetPath, base);
  const answers = new PassThrough({ highWaterMark: 1 << 20 });
  let refusedThere = false;
  const outcome = await applyStream({
    input: fromFile ? rewindable(stream) : dribble(random, stream),
    targetPath,
    engine: boundedEngine(engine),
    ...(withAnswers && { answers }),
    ...(withSnapback && { snapbackPath }),
  }).then(
    () => 'applied',
    (error: unknown) => {
      assert.ok(error instanceof LvmsyncError, `not an LvmsyncError: ${error}`);
      assert.doesNotMatch(error.message, /\p{Cc}/u);
      refusedThere = isRefusalOfPeer(error);
      assert.ok(refusedThere || EXPECTED_CODES.has(error.code), `${error.code}: ${error.message}`);
      return error.code;
    },
  );

  const content = readFileSync(targetPath);
  assert.equal(content.length, targetBytes, 'the size changed');
  const files = readdirSync(directory).filter((name) => name !== 'snapback');
  assert.deepEqual(files, ['target']);
  if (sound) {
    assert.equal(outcome, 'applied');
    assert.ok(content.equals(applied(base, splitStream(stream))), 'not what the stream says');
  } else if (fromFile && outcome !== 'applied') {
    assert.ok(content.equals(base), 'a file is checked before the target is touched');
  } else {
    assertOnlyWritten(content, base, stream);
  }
  if (withAnswers && !refusedThere) assertProperAnswers(answers, outcome);
  if (existsSync(snapbackPath)) {
    await rollback({ snapbackPath, targetPath, engine });
    rmSync(snapbackPath);
    assert.ok(readFileSync(targetPath).equals(base), 'the snapback does not restore');
  }
  return outcome;
}

/** A receipt for what was applied and for nothing else; a refusal for everything else. */
function assertProperAnswers(answers: PassThrough, outcome: string): void {
  const chunks: Buffer[] = [];
  // Of what waits Node gives all up to 24, and one chunk at a time from 26 on.
  for (let chunk = answers.read(); chunk !== null; chunk = answers.read()) chunks.push(chunk);
  const said = splitStream(Buffer.concat(chunks)).map(decodeRecord);
  const types = said.map(({ type }) => type);
  assert.equal(types[0], TYPE.hello);
  assert.equal(types.at(-1), outcome === 'applied' ? TYPE.receipt : TYPE.refuse);
  assert.equal(types.filter((type) => type === TYPE.receipt || type === TYPE.refuse).length, 1);
  if (outcome !== 'applied') {
    assert.equal(JSON.parse(said.at(-1)!.payload.toString()).code, outcome);
  }
}

test(`when a sender is hostile in ${CASES} seeded ways then it is refused or does what it says`, {
  timeout: 3_600_000,
}, async (context) => {
  const engines = [loadEngine('native').engine, loadEngine('js').engine];
  const unbound = boundBuffers();
  const outcomes = await runCases(CASES, (seed) => runOnce(seed, engines[seed % 2]!)).finally(
    unbound,
  );
  context.diagnostic(JSON.stringify(Object.fromEntries(outcomes)));
  for (const outcome of ['applied', 'STREAM_DAMAGED', 'STREAM_TRUNCATED', 'PAST_END']) {
    assert.ok((outcomes.get(outcome) ?? 0) > CASES / 100, `${outcome} was hardly met`);
  }
});
