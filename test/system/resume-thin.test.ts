import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadEngine } from '#lvmsync/block/engines.js';
import { identify } from '#lvmsync/block/identity.js';
import { stateDirectoryPath } from '#lvmsync/block/state-directory.js';
import { extentsOfList } from '#lvmsync/extents/from.js';
import { applyStream } from '#lvmsync/receive/apply.js';
import { progressFile } from '#lvmsync/receive/progress.js';
import { openTargetState } from '#lvmsync/receive/state-directory.js';
import { type ChangeSource, openStoreSource } from '#lvmsync/send/change-source.js';
import { localChannel } from '#lvmsync/transport/local.js';
import { deliver } from '#lvmsync/workflow/deliver.js';
import { createStoreFixture, sameContent } from '../support/store-fixture.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();
const stateDirectory = join(directory, 'state');
mkdirSync(stateDirectory, { mode: 0o700 });
const { engine } = loadEngine('native');
const fixture = createStoreFixture(directory, { seed: 5 });

/** Sends to a target where a transfer of the same source, with another list, was interrupted. */
async function sendAfterAnother(
  targetPath: string,
  change: (source: ChangeSource) => ChangeSource,
): Promise<string[]> {
  const source = await openStoreSource({
    storePath: join(directory, 'store-5'),
    dataPath: join(directory, 'origin-5'),
    engine,
  });
  const state = await openTargetState(
    stateDirectoryPath(stateDirectory),
    await identify(targetPath),
  );
  await progressFile(state.progressPath).save({
    transfer: 'another list',
    source: source.id,
    run: 'an earlier one',
    durableOffset: 0,
  });
  const warnings: string[] = [];
  await deliver({
    source: change(source),
    engine,
    open: async () =>
      localChannel(async (input, answers) => {
        await applyStream({ input, answers, targetPath, engine, version: '1', stateDirectory });
      }),
    protocol: 4,
    command: 'lvmsync',
    version: '1',
    base: 'sample',
    timeoutMs: 0,
    retries: 0,
    onStderr() {},
    onWarning: (line) => warnings.push(line),
  });
  await source.close();
  return warnings;
}

test('when the list may lack what an interrupted run had then what may be left is said', async () => {
  const target = fixture.target('thin', fixture.base);
  const thin = (source: ChangeSource) => ({ ...source, discarded: extentsOfList([]) });
  const warnings = await sendAfterAnother(target, thin);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /^what was discarded since the interrupted run may be left/);
  assert.ok(sameContent(target, fixture.origin));
});

test('when the list can only have grown then nothing is left', async () => {
  const target = fixture.target('thick', fixture.base);
  assert.deepEqual(await sendAfterAnother(target, (source) => source), []);
  assert.ok(sameContent(target, fixture.origin));
});
