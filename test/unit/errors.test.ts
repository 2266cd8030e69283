import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ERROR_EXIT_CODES, EXIT } from '#lvmsync/errors.js';
import { repositoryRoot } from '../support/repository.js';

const document = readFileSync(join(repositoryRoot, 'docs/errors.md'), 'utf8');

test('docs/errors.md has every code, with its exit status, and no other', () => {
  const rows = document.matchAll(/^\| `([A-Z0-9_]+)` \| (\d+) \| \S.* \| \S.* \|$/gm);
  const documented = [...rows].map(([, code, exit]) => [code, Number(exit)] as const);
  assert.deepEqual(documented.toSorted(), Object.entries(ERROR_EXIT_CODES).toSorted());
});

test('docs/errors.md and the README have every exit status, and no other', () => {
  const readme = readFileSync(join(repositoryRoot, 'README.md'), 'utf8');
  const table = readme.slice(readme.indexOf('| exit status |'));
  for (const text of [document, table]) {
    const rows = text.matchAll(/^\| (\d+) \| /gm);
    const statuses = [...rows].map(([, status]) => Number(status));
    assert.deepEqual(statuses, Object.values(EXIT));
  }
});
