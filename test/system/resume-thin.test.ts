import assert from 'node:assert/strict';
import { test } from 'node:test';
import { extentsOfList } from '#lvmsync/extents/from.js';
import type { ChangeSource } from '#lvmsync/send/change-source.js';
import { createLocalDelivery } from '../support/local-delivery.js';
import { sameContent } from '../support/store-fixture.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const { fixture, progressOf, send } = createLocalDelivery(temporaryDirectory());

/** Sends to a target where a transfer of the same source, with another list, was interrupted. */
async function sendAfterAnother(
  targetPath: string,
  change: (source: ChangeSource) => ChangeSource,
): Promise<string[]> {
  const progress = await progressOf(targetPath);
  return send({
    targetPath,
    async change(source) {
      await progress.save({
        transfer: 'another list',
        source: source.id,
        run: 'an earlier one',
        durableOffset: 0,
      });
      return change(source);
    },
  });
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
