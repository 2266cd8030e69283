import type { LogicalVolume } from './logical-volume.js';
import { runTool, toolError } from './run-tool.js';

/** Makes a thin snapshot readable, also one that LVM leaves out. @throws LvmsyncError TOOL_FAILED */
export async function activateSnapshot({ vgName, lvName }: LogicalVolume): Promise<void> {
  const output = await runTool('lvchange', [
    ...['--quiet', '--activate', 'y', '--ignoreactivationskip'],
    `${vgName}/${lvName}`,
  ]);
  if (output.status !== 0) throw toolError('lvchange', output);
}
