import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout this test belongs to, found upwards from the compiled file. */
export const repositoryRoot = findRoot(dirname(fileURLToPath(import.meta.url)));

/** The program under test, as a user starts it. */
export const lvmsyncPath = join(repositoryRoot, 'bin', 'lvmsync');

function findRoot(directory: string): string {
  if (existsSync(join(directory, 'package-lock.json'))) return directory;
  const parent = dirname(directory);
  if (parent === directory) throw new Error('no package-lock.json above the compiled tests');
  return findRoot(parent);
}
