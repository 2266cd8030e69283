import type { LogicalVolume } from './logical-volume.js';
import { runTool, toolError } from './run-tool.js';

/**
 * Gives a thick snapshot more room in its store, while it is in use.
 *
 * @throws LvmsyncError TOOL_MISSING; TOOL_FAILED, also when the volume group has no room
 */
export async function extendSnapshot(
  { vgName, lvName }: Pick<LogicalVolume, 'vgName' | 'lvName'>,
  addedBytes: number,
): Promise<void> {
  const args = ['--quiet', '--size', `+${addedBytes}b`, `${vgName}/${lvName}`];
  const output = await runTool('lvextend', args);
  if (output.status !== 0) throw toolError('lvextend', output);
}
