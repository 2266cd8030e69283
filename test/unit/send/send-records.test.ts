/** The buffers of a transfer: who has them, and until when. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addPiece } from '#lvmsync/block/batch.js';
import { createJsEngine } from '#lvmsync/block/js-engine.js';
import { LvmsyncError } from '#lvmsync/errors.js';
import type { Encoder, Source } from '#lvmsync/send/encoder.js';
import { createLinkSet } from '#lvmsync/send/link-set.js';
import { sendRecords } from '#lvmsync/send/send.js';
import type { ByteSink } from '#lvmsync/stream/bytes.js';
import { createStreamWriter } from '#lvmsync/transport/stream-writer.js';
import { countLeases } from '../../support/leases.js';

const MIB = 1 << 20;
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** Takes everything and has sent none of it until it is told to. */
function heldLink() {
  const held: { bytes: Buffer; copy: Buffer; written?: () => void }[] = [];
  const sink: ByteSink = {
    write: (bytes, written) =>
      held.push({ bytes, copy: Buffer.from(bytes), ...(written && { written }) }),
    ...{ writableNeedDrain: false, writableEnded: false, destroyed: false },
    end() {},
    destroy() {},
    on() {},
  };
  return { held, writer: createStreamWriter(sink) };
}

/** So many mebibytes, each a record with a number of its own. */
function volume(records: number): { encoder: Encoder; source: Source } {
  let record = 0;
  return {
    encoder: {
      bufferBytes: MIB,
      layOut(batch) {
        if (record === records) return false;
        addPiece(batch, record++ * MIB, MIB, 0);
        return true;
      },
      seal: async ({ buffer, offsets }) => ({
        ...{ bytes: [buffer], recordCount: 1, dataBytes: MIB, zeroBytes: 0 },
        endOffset: offsets[0]! + MIB,
      }),
    },
    source: {
      async read({ buffer, offsets }) {
        await nextTurn();
        buffer.fill(offsets[0]! / MIB + 1);
      },
    },
  };
}

const limits = { queueDepth: 4, bufferMemoryBytes: 9 * MIB };

test('when a run ends by an error then what a link still holds is not read over', async () => {
  const engine = createJsEngine(limits);
  const links = [heldLink(), heldLink()];
  const output = createLinkSet(links.map(({ writer }) => writer));
  const sending = sendRecords({ ...volume(100), engine, output });
  // Three of the nine buffers are full and wait for a link; a fourth is waited for.
  while (links.some(({ held }) => held.length < 3)) await nextTurn();
  for (let turn = 0; turn < 10; turn++) await nextTurn();

  const broken = new LvmsyncError('CONNECTION_LOST', 'the other one');
  links[0]!.writer.fail(broken);
  await assert.rejects(sending, broken);
  const all = links.flatMap(({ held }) => held);
  assert.ok(all.every(({ bytes, copy }) => bytes.equals(copy)));
});

test('when a writer has failed then whoever waits for bytes to be reusable is told', async () => {
  const { writer } = heldLink();
  const told: unknown[] = [];
  const settled = (error?: Error) => told.push(error);
  await writer.write(Buffer.alloc(1), settled);
  assert.deepEqual(told, []);
  const broken = new LvmsyncError('CONNECTION_LOST', 'it broke');
  writer.fail(broken);
  await assert.rejects(writer.write(Buffer.alloc(1), settled), broken);
  assert.deepEqual(told, [broken, broken]);
});

test('when a run is over then its buffers are given back as a link has sent them', async () => {
  const { engine, leased } = countLeases(createJsEngine(limits));
  const { held, writer } = heldLink();
  const sending = sendRecords({ ...volume(6), engine, output: createLinkSet([writer]) });
  assert.equal((await sending).recordCount, 6);
  assert.deepEqual(
    [...leased],
    held.map(({ bytes }) => bytes),
  );
  for (const { written } of held) written?.();
  assert.equal(leased.size, 0);
});

test('when a run breaks then it gives all back but what a link may still send', async () => {
  const { engine, leased } = countLeases(createJsEngine(limits));
  const { held, writer } = heldLink();
  const sending = sendRecords({ ...volume(100), engine, output: createLinkSet([writer]) });
  while (held.length < 6) await nextTurn();
  const broken = new LvmsyncError('CONNECTION_LOST', 'it broke');
  writer.fail(broken);
  await assert.rejects(sending, broken);
  const mayBeSent = held.map(({ bytes }) => bytes);
  assert.deepEqual([...leased], mayBeSent);
});
