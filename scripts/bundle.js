/**
 * bundle - joins dist/cli and what it imports into one file, twice.
 *
 * dist/bundle/lvmsync.cjs is what bin/lvmsync runs: loading a hundred modules one by one takes
 * longer than a small delta; CommonJS also spares Node its loader for ES modules. ssh2, part of
 * which is native, stays outside.
 *
 * dist/standalone/lvmsync.cjs is a program by itself, with all of ssh2 that is JavaScript, for hosts
 * that have Node and no npm. Its addon lies beside it.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const BUNDLE_URL = "const bundleUrl = require('node:url').pathToFileURL(__filename).href;";

const common = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'cjs',
  minifyWhitespace: true,
  minifySyntax: true,
  logLevel: 'warning',
};

const {
  outputFiles: [bundle],
} = await build({
  ...common,
  entryPoints: ['dist/cli/main.js'],
  // As deep as dist/cli, since modules find package.json and the addon from where they are.
  outfile: 'dist/bundle/lvmsync.cjs',
  external: ['ssh2', 'ssh2/*'],
  // `require` in its place: Node's loader for ES modules takes longer than ssh2 itself.
  supported: { 'dynamic-import': false },
  define: { 'import.meta.url': 'bundleUrl', LVMSYNC_VERSION: JSON.stringify(version) },
  banner: { js: BUNDLE_URL },
  write: false,
});
if (/[^\0-\x7f]/.test(bundle.text)) throw new Error('the bundle is not ASCII');
const digest = createHash('sha256').update(bundle.contents).digest('hex');
mkdirSync(dirname(bundle.path), { recursive: true });
// Wrapped as Node would do it, at the price of another copy.
const wrapped = `(function (exports, require, module, __filename, __dirname) {${bundle.text}\n});`;
writeFileSync(bundle.path, `// ${digest}\n${wrapped}\n`);
execFileSync(process.execPath, [join(root, 'scripts/code-cache.js')], { stdio: 'inherit' });

const STANDALONE = 'dist/standalone/lvmsync.cjs';
const { metafile } = await build({
  ...common,
  metafile: true,
  stdin: {
    contents: `
      import { loadAddon } from './dist/block/installation.js';
      import { main } from './dist/cli/main.js';
      export { loadAddon, main };
      // Where it is the program itself, and not loaded by another.
      if (require.main === module) {
        main(process.argv.slice(2)).then((status) => process.exit(status));
      }`,
    resolveDir: root,
  },
  outfile: STANDALONE,
  // The addons of ssh2, without which it works.
  external: ['*.node', 'cpu-features'],
  define: {
    'import.meta.url': 'bundleUrl',
    LVMSYNC_STANDALONE: 'true',
    LVMSYNC_VERSION: JSON.stringify(version),
  },
  banner: { js: `#!/usr/bin/env node\n${BUNDLE_URL}` },
});
chmodSync(join(root, STANDALONE), 0o755);
writeFileSync(join(root, 'dist/standalone/licenses.txt'), licenses(Object.keys(metafile.inputs)));

/** Those of the packages that these files are of, which ask to go along. */
function licenses(files) {
  const packages = new Set(
    files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? []),
  );
  const texts = [...packages].sort().map((path) => {
    const {
      name,
      version,
      license,
      licenses: [first] = [],
    } = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8'));
    const file = readdirSync(join(root, path)).find((each) => /^licen[cs]e/i.test(each));
    if (file === undefined) throw new Error(`${path} has no license`);
    const text = readFileSync(join(root, path, file), 'utf8').trim();
    return `${name} ${version} (${license ?? first.type})\n\n${text}\n`;
  });
  return `The single file lvmsync.cjs has parts of these packages in it.\n\n${texts.join(`\n${'-'.repeat(72)}\n\n`)}`;
}
