import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, test } from 'node:test';
import { createLinkSet, type LinkSet } from '#lvmsync/send/link-set.js';
import { createStreamWriter } from '#lvmsync/transport/stream-writer.js';

const MIB = 1 << 20;
const SLOW_MS = 200;

/** Takes everything, each write after so long. */
function link(delayMs: () => number) {
  const output = new Writable({
    highWaterMark: 1,
    write(_chunk, _encoding, callback) {
      if (delayMs() === 0) callback();
      else setTimeout(callback, delayMs());
    },
  });
  return createStreamWriter(output);
}

async function send(links: LinkSet, bytes: number): Promise<void> {
  await links.write([Buffer.alloc(bytes)], () => {});
  await links.finish();
}

/** A machine that has other things to do may take a while over a few of them. */
async function sendUntilLong(links: LinkSet): Promise<number> {
  for (let records = 1; records <= 10_000; records++) {
    await send(links, MIB);
    if (links.recordBytes() > MIB) return records;
  }
  throw new Error('the records stay short');
}

describe('how long records are', () => {
  test('when one link takes them quickly then they become long, and not before 16', async () => {
    const links = createLinkSet([link(() => 0)]);
    assert.equal(links.recordBytes(), MIB);
    assert.ok((await sendUntilLong(links)) >= 16);
    assert.equal(links.recordBytes(), 4 * MIB);
  });

  test('when a link becomes slow then they are short again', async () => {
    let delayMs = 0;
    const links = createLinkSet([link(() => delayMs)]);
    await sendUntilLong(links);
    delayMs = SLOW_MS;
    await send(links, 4 * MIB);
    assert.equal(links.recordBytes(), MIB);
  });

  test('when there is a second link then they are short', async () => {
    const links = createLinkSet([link(() => 0)]);
    await sendUntilLong(links);
    links.add(link(() => 0));
    assert.equal(links.recordBytes(), MIB);
  });
});
