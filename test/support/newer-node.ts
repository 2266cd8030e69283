import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import * as zlib from 'node:zlib';
import { mustRun } from './command.js';
import { repositoryRoot } from './repository.js';

const VERSION = '22.23.3';

/**
 * A Node with zstd, beside the one that runs the tests: from the npm package `node`, fetched once.
 * It is no dependency of ours: its `node` would come first in the PATH of every npm script.
 */
export async function nodeWithZstd(): Promise<string> {
  if (hasZstd) return process.execPath;
  const prefix = join(repositoryRoot, 'node_modules', '.cache', `node-${VERSION}`);
  const program = join(prefix, 'node_modules', 'node', 'bin', 'node');
  if (!existsSync(program)) {
    mkdirSync(prefix, { recursive: true });
    const options = ['--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
    await mustRun('npm', ['install', '--prefix', prefix, ...options, `node@${VERSION}`]);
  }
  return program;
}

/** Whether the Node that runs the tests has zstd. */
export const hasZstd = 'zstdCompress' in zlib;
