/** A source that was written on while it was sent, as its last look tells. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LvmsyncError } from '#lvmsync/errors.js';
import type { ChangeSource } from '#lvmsync/send/change-source.js';
import { createLocalDelivery } from '../support/local-delivery.js';
import { sameContent } from '../support/store-fixture.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const { fixture, progressOf, send } = createLocalDelivery(temporaryDirectory());

const changed = (source: ChangeSource): ChangeSource => ({
  ...source,
  async recheck() {
    throw new LvmsyncError('SNAPSHOT_CHANGED', 'the origin was written during the run');
  },
});

test('when the source has changed then the receiver remembers that a transfer had begun', async () => {
  const targetPath = fixture.target('direct', fixture.base);
  await assert.rejects(send({ targetPath, change: changed }), { code: 'SNAPSHOT_CHANGED' });
  const remembered = await (await progressOf(targetPath)).load();
  assert.equal(remembered?.durableOffset, 0);
});

test('when the source has changed then a transactional target stays as it was', async () => {
  const targetPath = fixture.target('transactional', fixture.base);
  const sent = send({ targetPath, transactional: true, change: changed });
  await assert.rejects(sent, { code: 'SNAPSHOT_CHANGED' });
  assert.ok(sameContent(targetPath, fixture.base));
});
