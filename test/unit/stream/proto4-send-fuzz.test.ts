import assert from 'node:assert/strict';
import { Readable, Writable } from 'node:stream';
import { test } from 'node:test';
import type { Batch } from '#lvmsync/block/batch.js';
import type { BlockFile, Engine } from '#lvmsync/block/engine.js';
import { loadEngine } from '#lvmsync/block/engines.js';
import { LvmsyncError } from '#lvmsync/errors.js';
import type { ExtentSource } from '#lvmsync/extents/extents.js';
import type { ChangeSource } from '#lvmsync/send/change-source.js';
import { sendTransfer } from '#lvmsync/send/transfer.js';
import { streamSource } from '#lvmsync/transport/byte-source.js';
import type { Channel } from '#lvmsync/transport/channel.js';
import {
  boundBuffers,
  boundedEngine,
  DAMAGE,
  fuzzCases,
  randomBytes,
  runCases,
} from '../../support/fuzz.js';
import { encodeJson, encodeRecord, LABEL, TYPE, totalsOf } from '../../support/proto4.js';
import { MUTATIONS } from '../../support/proto4-mutations.js';
import { createRandom, type Random } from '../../support/random.js';

/** A hostile receiver: its answers into the whole sender. */
const CASES = fuzzCases(0.3);

const VOLUME_BYTES = 65_536;
const CHUNK_BYTES = 4096;
const CHANGED_CHUNKS = [1, 2, 7, 11];

function memoryFile(content: Buffer): BlockFile {
  return {
    path: 'memory',
    kind: 'file',
    sizeBytes: content.length,
    blockBytes: 512,
    async read({ buffer, count, offsets, lengths, positions }: Batch) {
      for (let i = 0; i < count; i++) {
        const offset = offsets[i]!;
        assert.ok(offset + lengths[i]! <= content.length, 'read beyond the volume');
        content.copy(buffer, positions[i]!, offset, offset + lengths[i]!);
      }
    },
    write: () => Promise.reject(new Error('the sender writes')),
    zero: () => Promise.reject(new Error('the sender writes')),
    discard: () => Promise.reject(new Error('the sender writes')),
    writesZeroesBelow: 0,
    flush: async () => {},
    close: async () => {},
  };
}

function changeSource(random: Random): ChangeSource {
  const slice = {
    count: CHANGED_CHUNKS.length,
    offsets: Float64Array.from(CHANGED_CHUNKS, (chunk) => chunk * CHUNK_BYTES),
    lengths: new Float64Array(CHANGED_CHUNKS.length).fill(CHUNK_BYTES),
  };
  const extents: ExtentSource = {
    totalBytes: CHANGED_CHUNKS.length * CHUNK_BYTES,
    extentCount: CHANGED_CHUNKS.length,
    slices: () => [slice],
  };
  const pairs = CHANGED_CHUNKS.map((chunk, index) => ({
    originOffset: chunk * CHUNK_BYTES,
    storeOffset: index * CHUNK_BYTES,
  }));
  const data = randomBytes(random, VOLUME_BYTES);
  const store = randomBytes(random, CHANGED_CHUNKS.length * CHUNK_BYTES);
  for (const { originOffset, storeOffset } of pairs) {
    if (random.chance(0.5)) data.copy(store, storeOffset, originOffset, originOffset + CHUNK_BYTES);
  }
  return {
    description: 'memory',
    id: 'memory',
    extents,
    data: memoryFile(data),
    store: memoryFile(store),
    async *pairs() {
      yield pairs;
    },
    volumeBytes: VOLUME_BYTES,
    exceptionCount: CHANGED_CHUNKS.length,
    chunkBytes: CHUNK_BYTES,
    paths: [],
    recheck: async () => {},
    close: async () => {},
  };
}

/** What one thing that the sender says is answered with. */
type Step = 'start' | 'hello' | 'check' | 'end';

interface Peer {
  channel: Channel;
  /** Whether a right receipt has been sent. */
  acknowledged(): boolean;
}

/** A receiver that answers properly, except at one step. */
function createPeer(random: Random): Peer {
  const hello = {
    version: '1',
    capabilities: random.chance(0.5) ? ['zstd', 'other'] : [],
    target: { sizeBytes: VOLUME_BYTES, kind: 'file' },
  };
  const badStep = random.chance(0.9)
    ? random.pick<Step>(['start', 'hello', 'check', 'end'])
    : undefined;
  const sent: Buffer[] = [];
  let pending: Buffer = Buffer.alloc(0);
  let labelSeen = false;
  let acknowledged = false;
  const output = new Readable({ read() {} });

  function answer(step: Step, proper: Buffer[]): void {
    if (step !== badStep) {
      if (proper.length > 0) output.push(Buffer.concat(proper));
      return;
    }
    const records = [...proper];
    if (random.chance(0.7)) {
      const mutation = random.pick(Object.keys(MUTATIONS));
      if (records.length === 0) records.push(encodeRecord(TYPE.alive, []));
      MUTATIONS[mutation]!(random, records, VOLUME_BYTES);
    }
    const label = step === 'start' && records[0] !== LABEL ? [LABEL] : [];
    let bytes: Buffer = Buffer.concat([...label, ...records]);
    if (random.chance(0.4)) bytes = DAMAGE[random.pick(Object.keys(DAMAGE))]!(random, bytes);
    if (bytes.length > 0) output.push(bytes);
    if (random.chance(0.7))
      end(); // so that no case waits for what never comes
    else setTimeout(end, 5);
  }
  function end(): void {
    if (!output.readableEnded && !output.destroyed) output.push(null);
  }

  function hear(record: Buffer): void {
    const type = record[0]!;
    if (type === TYPE.hello) answer('hello', [encodeJson(TYPE.accept, {})]);
    if (type === TYPE.check) answer('check', [encodeRecord(TYPE.checked, [])]);
    if (type === TYPE.data || type === TYPE.zero) sent.push(Buffer.from(record));
    if (type === TYPE.end) {
      const right = { ...totalsOf(sent), flushed: true };
      const receipt = badStep === 'end' && random.chance(0.4) ? wrongReceipt(random, right) : right;
      acknowledged = receipt === right;
      answer('end', [encodeJson(TYPE.receipt, receipt)]);
    }
  }

  const input = new Writable({
    write(bytes: Buffer, _encoding, done) {
      pending = Buffer.concat([pending, bytes]);
      if (!labelSeen && pending.length >= LABEL.length) {
        labelSeen = true;
        pending = pending.subarray(LABEL.length);
      }
      while (labelSeen && pending.length >= 32) {
        const length = 32 + pending.readUInt16BE(2) * 8 + pending.readUInt32BE(4);
        if (pending.length < length) break;
        hear(pending.subarray(0, length));
        pending = pending.subarray(length);
      }
      done();
    },
  });
  if (badStep === 'start') answer('start', [encodeJson(TYPE.hello, hello)]);
  else answer('start', [LABEL, encodeJson(TYPE.hello, hello)]);
  return {
    channel: {
      description: 'ssh hostile',
      input,
      answers: streamSource(output, 'ssh hostile'),
      end: Promise.resolve({ status: 0, signal: null }),
      destroy: () => output.destroy(),
    },
    acknowledged: () => acknowledged,
  };
}

function wrongReceipt(random: Random, right: ReturnType<typeof totalsOf> & { flushed: boolean }) {
  return random.pick([
    { ...right, records: right.records + 1 },
    { ...right, dataBytes: right.dataBytes === 0 ? 1 : 0 },
    { ...right, digest: right.digest.replace(/./, (digit) => (digit === '0' ? '1' : '0')) },
    { ...right, flushed: false },
  ]);
}

async function runOnce(seed: number, engine: Engine): Promise<string> {
  const random = createRandom(seed);
  const peer = createPeer(random);
  let failed = false;
  const outcome = await sendTransfer({
    source: changeSource(random),
    engine: boundedEngine(engine),
    version: '1',
    channel: peer.channel,
    answered: Promise.resolve(),
    base: random.pick(['none', 'sample', 'full']),
    skipUnchanged: random.pick(['always', 'never']),
    timeoutMs: 30_000,
    attempts: { run: 'fuzz', sentOffset: 0, baseChecked: false },
    compress: random.chance(0.2),
  }).then(
    () => 'sent',
    (error: unknown) => {
      failed = true;
      assert.ok(error instanceof LvmsyncError, `not an LvmsyncError: ${error}`);
      assert.doesNotMatch(error.message, /\p{Cc}/u);
      assert.ok(error.message.length < 3000);
      return error.code;
    },
  );
  peer.channel.destroy();
  if (!failed) assert.ok(peer.acknowledged(), 'a success without a receipt');
  return outcome;
}

test(`when a receiver is hostile in ${CASES} seeded ways then the sender succeeds by a right receipt alone`, {
  timeout: 3_600_000,
}, async (context) => {
  const engines = [loadEngine('native').engine, loadEngine('js').engine];
  const unbound = boundBuffers();
  const outcomes = await runCases(CASES, (seed) => runOnce(seed, engines[seed % 2]!)).finally(
    unbound,
  );
  context.diagnostic(JSON.stringify(Object.fromEntries(outcomes)));
  for (const outcome of ['sent', 'STREAM_DAMAGED', 'CONNECTION_LOST', 'RECEIPT_WRONG']) {
    assert.ok((outcomes.get(outcome) ?? 0) > CASES / 200, `${outcome} was hardly met`);
  }
});
