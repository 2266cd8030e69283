/** A source that was written on while it was sent, as its last look tells. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadEngine } from '#lvmsync/block/engines.js';
import { identify } from '#lvmsync/block/identity.js';
import { stateDirectoryPath } from '#lvmsync/block/state-directory.js';
import { LvmsyncError } from '#lvmsync/errors.js';
import { applyStream } from '#lvmsync/receive/apply.js';
import { progressFile } from '#lvmsync/receive/progress.js';
import { openTargetState } from '#lvmsync/receive/state-directory.js';
import { openStoreSource } from '#lvmsync/send/change-source.js';
import { localChannel } from '#lvmsync/transport/local.js';
import { deliver } from '#lvmsync/workflow/deliver.js';
import { createStoreFixture, sameContent } from '../support/store-fixture.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();
const stateDirectory = join(directory, 'state');
mkdirSync(stateDirectory, { mode: 0o700 });
const { engine } = loadEngine('native');
const fixture = createStoreFixture(directory, { seed: 5 });

async function deliverChanged(targetPath: string, transactional: boolean): Promise<void> {
  const source = await openStoreSource({
    storePath: join(directory, 'store-5'),
    dataPath: join(directory, 'origin-5'),
    engine,
  });
  try {
    await deliver({
      source: {
        ...source,
        async recheck() {
          throw new LvmsyncError('SNAPSHOT_CHANGED', 'the origin was written during the run');
        },
      },
      engine,
      open: async () =>
        localChannel(async (input, answers) => {
          await applyStream({
            ...{ input, answers, targetPath, engine, version: '1', stateDirectory, transactional },
          });
        }),
      protocol: 4,
      command: 'lvmsync',
      version: '1',
      base: 'sample',
      timeoutMs: 0,
      retries: 0,
      onStderr() {},
    });
  } finally {
    await source.close();
  }
}

test('when the source has changed then the receiver remembers that a transfer had begun', async () => {
  const target = fixture.target('direct', fixture.base);
  await assert.rejects(deliverChanged(target, false), { code: 'SNAPSHOT_CHANGED' });
  const state = await openTargetState(stateDirectoryPath(stateDirectory), await identify(target));
  const remembered = await progressFile(state.progressPath).load();
  assert.equal(remembered?.durableOffset, 0);
});

test('when the source has changed then a transactional target stays as it was', async () => {
  const target = fixture.target('transactional', fixture.base);
  await assert.rejects(deliverChanged(target, true), { code: 'SNAPSHOT_CHANGED' });
  assert.ok(sameContent(target, fixture.base));
});
