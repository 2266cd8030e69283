import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { kernelTests } from './kernel.js';

/** Not a test of its own: what kernel-harness.test.ts runs to see the harness report the truth. */
const CASES: Record<string, () => void> = {
  mixed: () => {
    test('passes', () => {});
    test('fails', () => assert.equal(1, 2, 'one is not two'));
    test('is skipped', { skip: 'for a reason' }, () => {});
  },
  'guest dies': () => {
    test('before', () => {});
    test('during', () => writeFileSync('/proc/sysrq-trigger', 'c'));
    test('after', () => {});
  },
  'node ends': () => {
    test('before', () => {});
    test('during', () => process.exit(0));
    test('after', () => {});
  },
  'no tests': () => {},
  'one name for two': () => {
    test('name', () => {});
    test('name', () => {});
  },
  suite: () => {
    describe('suite', () => {
      test('inside', () => {});
    });
  },
  'bad end': () => {
    test('passes', () => {});
    process.on('exit', () => {
      process.exitCode = 3;
    });
  },
};

const define = CASES[process.env.LVMSYNC_TEST_CASE ?? ''];
if (define !== undefined) kernelTests(import.meta.url, {}, define);
