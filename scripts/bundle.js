/**
 * bundle - joins dist/cli and what it imports into one file, dist/bundle/lvmsync.cjs.
 *
 * Loading a hundred modules one by one takes longer than a small delta; CommonJS also spares Node
 * its loader for ES modules. What is native stays outside: ssh2 and the look-up of the addon.
 */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

await build({
  absWorkingDir: root,
  entryPoints: ['dist/cli/main.js'],
  // As deep as dist/cli, since modules find package.json and the addon from where they are.
  outfile: 'dist/bundle/lvmsync.cjs',
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'cjs',
  external: ['ssh2', 'ssh2/*', 'node-gyp-build'],
  define: { 'import.meta.url': 'bundleUrl' },
  banner: { js: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
  logLevel: 'warning',
});
