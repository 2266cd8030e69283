import assert from 'node:assert/strict';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeDirectories } from '#lvmsync/files.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();

test('when directories are missing then they are made, and those that are there stay', () => {
  const deep = join(directory, 'one', 'two', 'three');
  makeDirectories(deep, 0o700);
  writeFileSync(join(deep, 'kept'), '');
  makeDirectories(deep, 0o755);
  assert.equal(existsSync(join(deep, 'kept')), true);
  assert.equal(statSync(join(directory, 'one')).mode & 0o777, 0o700);
});

test('when a file is in the way then nothing is made', () => {
  const file = join(directory, 'file');
  writeFileSync(file, '');
  assert.throws(() => makeDirectories(join(file, 'below', 'it'), 0o700), { code: 'ENOTDIR' });
});
