import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { createStoreFixture, sameContent } from '../support/store-fixture.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const fixture = createStoreFixture(temporaryDirectory(), { seed: 1 });
const { origin, base, changedOffsets, source, target } = fixture;
const rsh = ['-e', fixture.rsh()];

/** Both ways to a receiver: in the same process, and over a command with a host. */
const WAYS: Record<string, (path: string) => string[]> = {
  'on this machine': (path) => [path],
  'over a command': (path) => [...rsh, `backup:${path}`],
};

/** What the message lists: the first differing ranges. */
function listedRanges(stderr: string): number[] {
  return [...stderr.matchAll(/(\d+)\+4096/g)].map(([, offset]) => Number(offset));
}

for (const [way, destination] of Object.entries(WAYS)) {
  describe(`the base check ${way}`, () => {
    for (const how of ['sample', 'full']) {
      test(`when the target holds the base then a ${how} check lets it be written`, async () => {
        const path = target('target', base);
        const args = [...source, '--verify-base', how, '-v', ...destination(path)];
        const { stderr } = await lvmsyncOk(args);
        assert.ok(sameContent(path, origin));
        const compared = /^base: (\d+) chunks of the target compared/m.exec(stderr)?.[1];
        if (how === 'full') assert.ok(Number(compared) >= changedOffsets.length, stderr);
        else assert.ok(Number(compared) > 0 && Number(compared) < changedOffsets.length, stderr);
      });

      test(`when the target is another volume then a ${how} check refuses it, untouched`, async () => {
        const other = Buffer.alloc(base.length, 'another volume');
        const path = target('target', other);
        const args = [...source, '--verify-base', how, ...destination(path)];
        const { stderr } = await lvmsyncFails(args, 3, /does not hold what the changes were made/);
        assert.ok(sameContent(path, other));
        assert.equal(listedRanges(stderr).length, 5, stderr);
      });

      test(`when the target holds all changes already then a ${how} check accepts it`, async () => {
        const path = target('target', origin);
        await lvmsyncOk([...source, '--verify-base', how, ...destination(path)]);
        assert.ok(sameContent(path, origin));
      });
    }

    test('when an earlier run got half-way then a full check accepts what it left', async () => {
      const half = Buffer.from(base);
      for (const offset of changedOffsets.slice(0, 150)) {
        origin.copy(half, offset, offset, offset + 4096);
      }
      const path = target('target', half);
      await lvmsyncOk([...source, '--verify-base', 'full', ...destination(path)]);
      assert.ok(sameContent(path, origin));
    });

    test('when one byte of two changed chunks differs then a full check names just those', async () => {
      const wrong = Buffer.from(base);
      const places = [changedOffsets[17]!, changedOffsets[217]!];
      for (const offset of places) wrong[offset + 4095]! ^= 1;
      const path = target('target', wrong);
      const args = [...source, '--verify-base', 'full', ...destination(path)];
      const { stderr } = await lvmsyncFails(args, 3, /: 2 of \d+ chunks compared differ/);
      assert.deepEqual(
        listedRanges(stderr).sort((a, b) => a - b),
        places.sort((a, b) => a - b),
      );
      assert.match(stderr, /copy the whole volume again/);
      assert.ok(sameContent(path, wrong));
    });

    test('when there is to be no check then a wrong base is written to', async () => {
      const path = target('target', Buffer.alloc(base.length));
      await lvmsyncOk([...source, '--no-verify-base', ...destination(path)]);
      const written = readFileSync(path);
      for (const offset of changedOffsets) {
        const end = offset + 4096;
        assert.ok(written.subarray(offset, end).equals(origin.subarray(offset, end)));
      }
    });
  });
}

test('when a snapback is asked for and the base is wrong then the snapback holds nothing', async () => {
  const path = target('target', Buffer.alloc(base.length));
  const snapback = fixture.path('snapback');
  const args = [...source, '--snapback', snapback, '--protocol', '4', ...rsh, `backup:${path}`];
  await lvmsyncFails(args, 3, /does not hold what the changes were made to/);
  assert.ok(readFileSync(snapback).length < 4096);
});
