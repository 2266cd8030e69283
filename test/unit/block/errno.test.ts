import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { describeErrno, errnoName, errnoOf } from '#lvmsync/block/errno.js';
import { pageSize } from '#lvmsync/block/page-memory.js';

test('when a number is known then it has a name and words, whether libuv knows it or not', () => {
  for (const [number, name, words] of [
    [5, 'EIO', 'i/o error (EIO)'],
    [28, 'ENOSPC', 'no space left on device (ENOSPC)'],
    [61, 'ENODATA', 'medium error (ENODATA)'],
    [117, 'EUCLEAN', 'file system is damaged (EUCLEAN)'],
  ] as const) {
    assert.equal(errnoName(number), name);
    assert.equal(describeErrno(name), words);
  }
});

test('when a number has no name then the number is the name', () => {
  assert.equal(errnoName(4000), 'errno 4000');
  assert.equal(describeErrno('errno 4000'), 'errno 4000');
});

test('when an error is not from the system then it is thrown again', () => {
  const error = new TypeError('not a failure of I/O');
  assert.throws(() => errnoOf(error), error);
});

test('when the page size is asked for then it is what the system says', () => {
  assert.equal(pageSize(), Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' })));
});
