import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import type { ExceptionPair } from './cow-store.js';

/** The real stores in test/fixtures; see the README there. */
export type ThickFixture =
  | 'thick-4k'
  | 'thick-64k'
  | 'thick-64k-empty'
  | 'thick-8k-snapwrites'
  | 'thick-4k-overflow';

const FIXTURES = join(import.meta.dirname, '../../test/fixtures');

export const ORIGIN_BYTES = 64 * 2 ** 20;

/** Compiled tests run from dist-test/, the fixtures stay in test/. */
export function readFixtureText(fixture: ThickFixture, file: string): string {
  return readFileSync(join(FIXTURES, fixture, file), 'utf8');
}

/** The image of a fixture's store. */
export function readStoreImage(fixture: ThickFixture): Buffer {
  return readImage(join(fixture, 's.cow.img.br'));
}

/** The origin as it was when the snapshot was taken, the same for all fixtures. */
export function readOriginBefore(): Buffer {
  return readImage('thick-origin-before.img.br');
}

export function readOriginAfter(fixture: Exclude<ThickFixture, 'thick-4k-overflow'>): Buffer {
  if (fixture === 'thick-64k-empty') return readOriginBefore();
  const owner = fixture === 'thick-64k' ? 'thick-4k' : fixture;
  return readImage(join(owner, 'origin-after.img.br'));
}

/** The recorded list of exceptions, in the order of the store. */
export function readRecordedExceptions(fixture: ThickFixture): ExceptionPair[] {
  const recorded: { exceptions: ExceptionPair[] } = JSON.parse(
    readFixtureText(fixture, 's.cow.json'),
  );
  return recorded.exceptions;
}

function readImage(path: string): Buffer {
  return brotliDecompressSync(readFileSync(join(FIXTURES, path)));
}
