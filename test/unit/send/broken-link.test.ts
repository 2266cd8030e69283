/** A link that breaks while others still hold what they were given. */
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

const MIB = 1 << 20;
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** Takes everything and has sent none of it. */
function heldLink() {
  const held: { bytes: Buffer; copy: Buffer }[] = [];
  const sink: ByteSink = {
    write: (bytes) => held.push({ bytes, copy: Buffer.from(bytes) }),
    ...{ writableNeedDrain: false, writableEnded: false, destroyed: false },
    end() {},
    destroy() {},
    on() {},
  };
  return { held, writer: createStreamWriter(sink) };
}

/** A volume without an end, a mebibyte a record, each with a number of its own. */
function endless(): { encoder: Encoder; source: Source } {
  let record = 0;
  return {
    encoder: {
      bufferBytes: MIB,
      layOut(batch) {
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

test('when a run ends by an error then what a link still holds is not read over', async () => {
  const engine = createJsEngine({ queueDepth: 4, bufferMemoryBytes: 9 * MIB });
  const links = [heldLink(), heldLink()];
  const output = createLinkSet(links.map(({ writer }) => writer));
  const sending = sendRecords({ ...endless(), engine, output });
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
