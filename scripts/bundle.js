/**
 * bundle - joins dist/cli and what it imports into files, twice.
 *
 * dist/bundle/lvmsync.cjs is what bin/lvmsync runs: loading a hundred modules one by one takes
 * longer than a small delta; CommonJS also spares Node its loader for ES modules. ssh2, which not
 * every command needs, is in dist/bundle/ssh2.cjs.
 *
 * dist/standalone/lvmsync.cjs is a program by itself, with all of ssh2 that is JavaScript, for hosts
 * that have Node and no npm. Its addon lies beside it.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
// What bin/load.cjs and Node give a CommonJS module, and no class URL for it.
const OWN_PATH = { 'import.meta.filename': '__filename', 'import.meta.dirname': '__dirname' };

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

/** Builds a file that bin/load.cjs loads, and answers what went into it. */
async function buildBundle(name, options) {
  const { outputFiles, metafile } = await build({
    ...common,
    ...options,
    // As deep as dist/cli, since modules find package.json and the addon from where they are.
    outfile: `dist/bundle/${name}.cjs`,
    // `require` in its place: Node's loader for ES modules takes longer than ssh2 itself.
    supported: { 'dynamic-import': false },
    metafile: true,
    write: false,
  });
  const [{ path, text, contents }] = outputFiles;
  if (/[^\0-\x7f]/.test(text)) throw new Error(`${path} is not ASCII`);
  const digest = createHash('sha256').update(contents).digest('hex');
  mkdirSync(dirname(path), { recursive: true });
  // Or what is kept would depend on what an earlier build has kept.
  rmSync(`${path}.cache`, { force: true });
  // Wrapped as Node would do it, at the price of another copy.
  const parameters = 'exports, require, module, __filename, __dirname, loadBundle';
  writeFileSync(path, `// ${digest}\n(function (${parameters}) {${text}\n});\n`);
  return Object.keys(metafile.inputs);
}

/** What src/transport/ssh2/library.ts asks for, each part loaded when it does. */
const SSH2_PARTS = ['agent', 'client', 'protocol/crypto', 'protocol/keyParser'].map(
  (part) => `ssh2/lib/${part}.js`,
);

const ssh2InItsBundle = {
  name: 'ssh2-in-its-bundle',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^ssh2\// }, ({ path }) => ({ path, namespace: 'ssh2' }));
    onLoad({ filter: /./, namespace: 'ssh2' }, ({ path }) => ({
      contents: `module.exports = loadBundle('ssh2').exports['${path}']();`,
    }));
  },
};

const SSH2_ADDON = 'ssh2/lib/protocol/crypto/build/Release/sshcrypto.node';

/**
 * Its compiled ciphers stay in the package. What tells it which of its algorithms are fast here is
 * left out: src/transport/ssh2/algorithms.ts names all of them.
 */
const ssh2Addons = {
  name: 'ssh2-addons',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /sshcrypto\.node$/ }, () => ({ path: SSH2_ADDON, external: true }));
    onResolve({ filter: /^cpu-features$/ }, ({ path }) => ({ path, namespace: 'left-out' }));
    onLoad({ filter: /./, namespace: 'left-out' }, ({ path }) => ({
      contents: `throw new Error('${path} is left out');`,
    }));
  },
};

/**
 * Its Poly1305 in WebAssembly, 16 MiB and 6 ms for every connection before anything is sent, only
 * where its addon, which has its own, is not there.
 */
const ssh2Poly1305 = {
  name: 'ssh2-poly1305',
  setup({ onResolve, onLoad }) {
    const namespace = 'poly1305';
    onResolve({ filter: /\/poly1305\.js$/ }, ({ importer, resolveDir, path }) =>
      importer.endsWith('crypto.js') ? { path: join(resolveDir, path), namespace } : undefined,
    );
    onLoad({ filter: /./, namespace }, ({ path }) => ({
      contents: `
        let isNeeded = false;
        try { require('${SSH2_ADDON}'); } catch { isNeeded = true; }
        module.exports = isNeeded ? require('${path}') : async () => ({ _malloc() {}, cwrap() {} });`,
      resolveDir: dirname(path),
    }));
  },
};

await buildBundle('lvmsync', {
  entryPoints: ['dist/cli/main.js'],
  plugins: [ssh2InItsBundle],
  define: { ...OWN_PATH, LVMSYNC_VERSION: JSON.stringify(version) },
});
const ssh2Files = await buildBundle('ssh2', {
  stdin: {
    contents: SSH2_PARTS.map((part) => `exports['${part}'] = () => require('${part}');`).join('\n'),
    resolveDir: root,
  },
  plugins: [ssh2Addons, ssh2Poly1305],
});
writeFileSync(join(root, 'dist/bundle/licenses.txt'), licenses('ssh2.cjs', ssh2Files));
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
    ...OWN_PATH,
    LVMSYNC_STANDALONE: 'true',
    LVMSYNC_VERSION: JSON.stringify(version),
  },
  banner: { js: '#!/usr/bin/env node' },
});
chmodSync(join(root, STANDALONE), 0o755);
writeFileSync(
  join(root, 'dist/standalone/licenses.txt'),
  licenses('lvmsync.cjs', Object.keys(metafile.inputs)),
);

/** Those of the packages that these files are of, which ask to go along. */
function licenses(name, files) {
  const packages = new Set(
    files.flatMap((file) => /^[^:]*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file) ?? []),
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
  return `The single file ${name} has parts of these packages in it.\n\n${texts.join(`\n${'-'.repeat(72)}\n\n`)}`;
}
