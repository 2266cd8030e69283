/**
 * reference - writes the man pages and the shell completions, dist/man and dist/completions, from
 * the command line's own definition, which they therefore always fit; and the list of the pages in
 * package.json, since npm wants each named there.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createProgram } from '../dist/cli/program.js';
import { bashCompletion } from './reference/bash.js';
import { fishCompletion } from './reference/fish.js';
import { manPages } from './reference/man-page.js';
import { zshCompletion } from './reference/zsh.js';

const dist = fileURLToPath(new URL('../dist', import.meta.url));
const packageFile = fileURLToPath(new URL('../package.json', import.meta.url));
const program = createProgram();
const pages = manPages(program);

for (const directory of ['man', 'completions']) {
  rmSync(join(dist, directory), { recursive: true, force: true });
}
for (const { name, text } of pages) write(`man/${name}.1`, text);
write('completions/bash/lvmsync', bashCompletion(program));
write('completions/zsh/_lvmsync', zshCompletion(program));
write('completions/fish/lvmsync.fish', fishCompletion(program));

listPages(pages.map(({ name }) => `./dist/man/${name}.1`));

function write(path, text) {
  const file = join(dist, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

function listPages(files) {
  const before = readFileSync(packageFile, 'utf8');
  const list = JSON.stringify(files, null, 2).replaceAll('\n', '\n  ');
  const after = before.replace(/"man": \[[^\]]*\]/, `"man": ${list}`);
  if (after !== before) writeFileSync(packageFile, after);
}
