import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertCanFreeze } from '#lvmsync/lvm/pause.js';

test('when the kernel lets LVM suspend a frozen file system then it may be frozen', () => {
  for (const kernel of ['6.8.0-31-generic', '6.12.1', '7.0']) assertCanFreeze(kernel);
  for (const kernel of ['6.7.9', '6.1.0-18-amd64', '5.15.0', 'strange']) {
    assert.throws(() => assertCanFreeze(kernel), /since|6\.8/);
  }
});
