import { join } from 'node:path';
import { mustRun } from './command.js';
import { repositoryRoot } from './repository.js';

/** Builds the addons as the package brings them, unless they are there. Resolves to their directory. */
export async function prebuilds(...architectures: string[]): Promise<string> {
  await mustRun(join(repositoryRoot, 'scripts', 'prebuild'), architectures, {
    timeoutMs: 600_000,
  });
  return join(repositoryRoot, 'prebuilds');
}
