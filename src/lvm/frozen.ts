import { runTool } from './run-tool.js';

/**
 * Whether a file system is frozen (fsfreeze), so that nothing is written to its device and nothing
 * waits to be. The kernel tells in one way only: a frozen one cannot be frozen again. One that is
 * not is frozen for the moment that takes, and thawed.
 *
 * @throws LvmsyncError TOOL_MISSING, TOOL_FAILED
 */
export async function isFrozen(mountPoint: string): Promise<boolean> {
  // What thaws it must not have to be read from it.
  if (mountPoint === '/' || mountPoint.startsWith('/usr')) return false;
  const { status, stderr } = await runTool('fsfreeze', ['--freeze', mountPoint]);
  if (status !== 0) return /resource busy/i.test(stderr);
  await runTool('fsfreeze', ['--unfreeze', mountPoint]);
  return false;
}
