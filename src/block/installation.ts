/** Where this program lies: in its package, or as a single file with its addon beside it. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Set by scripts/bundle.js, in the single file alone. */
declare const LVMSYNC_STANDALONE: true | undefined;

const isStandalone = typeof LVMSYNC_STANDALONE !== 'undefined';

/** All of the program in one file, which needs nothing else but, for the native engine, its addon. */
export const STANDALONE_FILE = isStandalone
  ? fileURLToPath(import.meta.url)
  : fileURLToPath(new URL('../standalone/lvmsync.cjs', import.meta.url));

const PACKAGE_ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The addon as `npm run build` makes it, for this machine. */
const BUILT_HERE = join(PACKAGE_ROOT, 'build', 'Release', 'lvmsync.node');

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
    return { addon: createRequire(import.meta.url)(ownAddonFile()) };
  } catch (error) {
    return { error };
  }
}

/** @throws Error when there is none */
export function ownAddonFile(): string {
  if (!isStandalone && existsSync(BUILT_HERE)) return BUILT_HERE;
  // Those that are handed out are for glibc, and musl might load one all the same.
  if (existsSync('/etc/alpine-release')) throw new Error('there is none for musl');
  const path = findAddonFile(process.arch);
  if (path !== undefined) return path;
  const name = `lvmsync.linux-${process.arch}.node`;
  throw new Error(
    isStandalone
      ? `there is no ${name} beside ${STANDALONE_FILE}`
      : `there is none for ${process.arch} in ${PACKAGE_ROOT}`,
  );
}
