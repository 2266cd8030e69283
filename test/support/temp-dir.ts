import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

/** A directory of its own for a test file, removed when its tests have run. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'lvmsync-test-'));
  after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
