import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Set by scripts/bundle.js. */
declare const LVMSYNC_VERSION: string | undefined;

/** The version in package.json. */
export function packageVersion(): string {
  if (typeof LVMSYNC_VERSION === 'string') return LVMSYNC_VERSION;
  const text = readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
