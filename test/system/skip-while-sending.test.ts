/** Leaving out unchanged blocks in turns with sending, through a slow link in this process. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadEngine } from '#lvmsync/block/engines.js';
import { ioError } from '#lvmsync/block/io-errors.js';
import { applyStream } from '#lvmsync/receive/apply.js';
import { type ChangeSource, openStoreSource } from '#lvmsync/send/change-source.js';
import type { SkipUnchanged } from '#lvmsync/send/skip-unchanged.js';
import { localChannel } from '#lvmsync/transport/local.js';
import { deliver } from '#lvmsync/workflow/deliver.js';
import { createRandom } from '../support/random.js';
import { createStoreFixture, sameContent } from '../support/store-fixture.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const MIB = 1 << 20;
const CHUNK_BYTES = 65536;
const directory = temporaryDirectory();
const random = createRandom(3);
const { engine } = loadEngine('native');
const fixture = createStoreFixture(directory, {
  seed: 3,
  originBytes: 48 * MIB,
  chunkBytes: CHUNK_BYTES,
  changedChunks: 512,
  content(chunk) {
    chunk[random.below(chunk.length)]! ^= 1;
  },
});
const { base, origin } = fixture;
const TOTAL_BYTES = 512 * CHUNK_BYTES;

/** What was said, and how many bytes were sent. */
interface Run {
  notes: string[];
  warnings: string[];
  dataBytes: number;
}

/** Sends to `targetPath` over a link that carries so many bytes a second. */
async function send(
  targetPath: string,
  skipUnchanged: SkipUnchanged,
  bytesPerSecond: number,
  change: (source: ChangeSource) => ChangeSource,
): Promise<Run> {
  const source = await openStoreSource({
    storePath: join(directory, 'store-3'),
    dataPath: join(directory, 'origin-3'),
    engine,
  });
  const run: Run = { notes: [], warnings: [], dataBytes: 0 };
  const open = async () =>
    localChannel(async (input, answers) => {
      let waitMs = 0;
      const slow = {
        description: input.description,
        async read(into: Buffer) {
          const bytes = await input.read(into);
          waitMs += (bytes / bytesPerSecond) * 1000;
          if (waitMs > 5) {
            await delay(waitMs);
            waitMs = 0;
          }
          return bytes;
        },
      };
      const stateDirectory = join(directory, 'state');
      await applyStream({ input: slow, answers, targetPath, engine, version: '1', stateDirectory });
    });
  const report = await deliver({
    source: change(source),
    engine,
    open,
    protocol: 4,
    command: 'lvmsync',
    version: '1',
    base: 'none',
    timeoutMs: 0,
    skipUnchanged,
    retries: 0,
    onStderr() {},
    onNote: (line) => run.notes.push(line),
    onWarning: (line) => run.warnings.push(line),
  });
  await source.close();
  run.dataBytes = report.dataBytes;
  return run;
}

test('when comparing takes longer than its head start then it takes turns with sending', async (context) => {
  const path = fixture.target('slow', base);
  const run = await send(path, 'auto', 4e6, (source) => ({
    ...source,
    // A disk that gets slow: all of it takes more than a second.
    async *pairs(areas) {
      for await (const area of source.pairs(areas)) {
        for (let i = 0; i < area.length; i += 8) {
          if (i > 0) await delay(20);
          yield area.slice(i, i + 8);
        }
      }
    },
  }));
  assert.ok(sameContent(path, origin));
  const changedBytes = fixture.changedOffsets.length * 4096;
  assert.ok(run.dataBytes >= changedBytes && run.dataBytes < TOTAL_BYTES, `${run.dataBytes}`);
  context.diagnostic(`${run.dataBytes} of ${TOTAL_BYTES} bytes sent, ${run.notes.join()}`);
});

test('when the target holds other blocks than the store then these are sent, also out of a pause', async () => {
  const other = Buffer.from(base);
  for (const offset of fixture.changedOffsets) {
    for (let i = 0; i < 4; i++) other[offset + random.below(CHUNK_BYTES)]! ^= 0xff;
  }
  const path = fixture.target('other', other);
  await send(path, 'auto', 20e6, (source) => ({
    ...source,
    async *pairs(areas) {
      for await (const area of source.pairs(areas)) {
        for (let i = 0; i < area.length; i += 8) {
          await delay(20);
          yield area.slice(i, i + 8);
        }
      }
    },
  }));
  assert.ok(sameContent(path, origin));
});

test('when the old data cannot be read then all is sent, and that is said', async () => {
  const path = fixture.target('unreadable', base);
  let reads = 0;
  const run = await send(path, 'always', 1e9, (source) => ({
    ...source,
    store: {
      ...source.store,
      async read(batch) {
        if (++reads > 20) throw ioError('READ_FAILED', 'the store', 123_456, 'EIO');
        await source.store.read(batch);
      },
    },
  }));
  assert.ok(sameContent(path, origin));
  assert.match(run.warnings.join('\n'), /unchanged blocks are sent too: cannot read the store/);
  assert.ok(run.dataBytes < TOTAL_BYTES, 'what was found before is left out');
});
