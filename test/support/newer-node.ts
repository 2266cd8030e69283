import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as zlib from 'node:zlib';
import { mustRun } from './command.js';
import { repositoryRoot } from './repository.js';

/** One version of each line of Node that lvmsync runs on. */
export const NODE_VERSIONS = { 20: '20.19.0', 22: '22.23.3', 24: '24.21.0' } as const;

/** Of the Node that runs the tests. */
export const nodeMajor = Number.parseInt(process.versions.node, 10);

/** ssh2's addon is not to be compiled for the V8 of Node 26. */
export const canHaveSsh2Addon = nodeMajor < 26;

/** A Node with zstd, beside the one that runs the tests. */
export async function nodeWithZstd(): Promise<string> {
  return hasZstd ? process.execPath : fetchNode(NODE_VERSIONS[22]);
}

/** Whether the Node that runs the tests has zstd. */
export const hasZstd = 'zstdCompress' in zlib;

/**
 * Another Node, from the npm package with the program, fetched once. It is no dependency of ours:
 * its `node` would come first in the PATH of every npm script.
 */
export async function fetchNode(
  version: string,
  architecture: string = process.arch,
): Promise<string> {
  const name = `node-linux-${architecture}`;
  const prefix = join(repositoryRoot, 'node_modules', '.cache', `${name}-${version}`);
  const program = (directory: string) => join(directory, 'node_modules', name, 'bin', 'node');
  if (existsSync(program(prefix))) return program(prefix);
  // Somebody else may fetch the same one meanwhile.
  const own = `${prefix}.${process.pid}`;
  mkdirSync(dirname(own), { recursive: true });
  const options = ['--no-save', '--no-audit', '--no-fund', '--loglevel=error', '--force'];
  await mustRun('npm', ['install', '--prefix', own, ...options, `${name}@${version}`], {
    timeoutMs: 600_000,
  });
  try {
    renameSync(own, prefix);
  } catch (error) {
    if (!existsSync(program(prefix))) throw error;
    rmSync(own, { recursive: true });
  }
  return program(prefix);
}
