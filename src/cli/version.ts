import { readFileSync } from 'node:fs';

/** Set by scripts/bundle.js. */
declare const LVMSYNC_VERSION: string | undefined;

/** The version in package.json. */
export function packageVersion(): string {
  if (typeof LVMSYNC_VERSION === 'string') return LVMSYNC_VERSION;
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
