import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { lvmsyncPath } from './repository.js';

/** How often it is looked whether the time has come, in milliseconds. */
const LOOK_MS = 1;

/**
 * Runs the real command line and kills it (SIGKILL) so many milliseconds after `isTime` has said
 * so. Resolves to its exit status; null when it was killed before its end.
 */
export async function lvmsyncKilled(
  args: readonly string[],
  isTime: () => boolean,
  milliseconds = 0,
): Promise<number | null> {
  const child = spawn(process.execPath, [lvmsyncPath, ...args], { stdio: 'ignore' });
  const ended = once(child, 'close');
  while (child.exitCode === null && child.signalCode === null && !isTime()) await delay(LOOK_MS);
  await delay(milliseconds);
  child.kill('SIGKILL');
  const [status] = await ended;
  return status;
}

/** Bytes of a file; 0 when there is none. */
export function bytesOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
