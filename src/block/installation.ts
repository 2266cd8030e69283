/** Where this program lies: in its package, or as a single file with its addon beside it. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import nodeGypBuild from 'node-gyp-build';

/** Set by scripts/bundle.js, in the single file alone. */
declare const LVMSYNC_STANDALONE: true | undefined;

const isStandalone = typeof LVMSYNC_STANDALONE !== 'undefined';

/** All of the program in one file, which needs nothing else but, for the native engine, its addon. */
export const STANDALONE_FILE = isStandalone
  ? import.meta.filename
  : join(import.meta.dirname, '../standalone/lvmsync.cjs');

const PACKAGE_ROOT = join(import.meta.dirname, '../..');

/**
 * The addon as it is handed out, which runs on any machine with that processor and glibc.
 *
 * @param arch as in `process.arch`
 * @returns its path; undefined where there is none
 */
export function findAddonFile(arch: string): string | undefined {
  const directory = dirname(STANDALONE_FILE);
  return [
    join(directory, `lvmsync.linux-${arch}.node`),
    join(directory, '..', '..', 'prebuilds', `linux-${arch}`, 'lvmsync.glibc.node'),
  ].find((path) => existsSync(path));
}

let loaded: { addon: unknown } | { error: unknown } | undefined;

/**
 * The addon for this machine. It is looked for once: the files may be gone the next time.
 *
 * @throws Error when there is none, or it cannot be loaded
 */
export function loadAddon(): unknown {
  loaded ??= tryToLoad();
  if ('error' in loaded) throw loaded.error;
  return loaded.addon;
}

function tryToLoad(): NonNullable<typeof loaded> {
  try {
    const module = { exports: {} };
    process.dlopen(module, ownAddonFile()); // `require` would look for it once more
    return { addon: module.exports };
  } catch (error) {
    return { error };
  }
}

/** @throws Error when there is none */
function ownAddonFile(): string {
  if (!isStandalone) return nodeGypBuild.resolve(PACKAGE_ROOT);
  const path = findAddonFile(process.arch);
  if (path !== undefined) return path;
  throw new Error(`there is no lvmsync.linux-${process.arch}.node beside ${STANDALONE_FILE}`);
}
