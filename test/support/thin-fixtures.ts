import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

/** The real thin pool in test/fixtures; see the README there. */
const FIXTURE = join(import.meta.dirname, '../../test/fixtures/thin');

export const THIN_CHUNK_BYTES = 64 * 1024;
export const THIN_VOLUME_BYTES = 64 * 2 ** 20;
export const THIN_IDS = { t: 1, s0: 2, s1: 3 };
/** The versions of thin-provisioning-tools whose output is recorded. */
export const THIN_TOOL_VERSIONS = ['0.9.0', '1.1.0'] as const;

export function readThinFixture(file: string): string {
  return readFileSync(join(FIXTURE, file), 'utf8');
}

/** The image of the pool's metadata. */
export function readThinMetadata(): Buffer {
  return brotliDecompressSync(readFileSync(join(FIXTURE, 'tmeta.img.br')));
}
