import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createBlockFile, type RawFile } from '#lvmsync/block/block-file.js';
import { createJsEngine } from '#lvmsync/block/js-engine.js';
import { temporaryDirectory } from '../../support/temp-dir.js';

const directory = temporaryDirectory();

/** A file whose flushes answer these, each after the time of a turn of the event loop. */
function fileWithFlushes(...answers: (string | undefined)[]) {
  const path = join(directory, 'file');
  writeFileSync(path, Buffer.alloc(4096));
  let flushes = 0;
  const raw: RawFile = {
    read: async () => undefined,
    write: async () => undefined,
    async flush() {
      const answer = answers[flushes++];
      // The one that fails takes the longest.
      if (answer !== undefined) await new Promise((resolve) => setImmediate(resolve));
      return answer;
    },
    close: async () => undefined,
  };
  const facts = { path, kind: 'file', sizeBytes: 4096, blockBytes: 4096 } as const;
  return createBlockFile(facts, 'write', raw, createJsEngine());
}

test('when one flush has failed, then no later one says that all is well', async () => {
  const file = fileWithFlushes(undefined, 'EIO', undefined, undefined);
  await file.flush();
  const failed = { code: 'FLUSH_FAILED', errno: 'EIO' };
  await Promise.all([
    assert.rejects(file.flush(), failed),
    assert.rejects(file.flush(), failed, 'the system had told the other one'),
  ]);
  await assert.rejects(file.flush(), failed);
});
