import { LvmsyncError } from '../errors.js';
import { runTool, toolError } from './run-tool.js';

/** What of a volume group is not part of any volume. */
export interface GroupSpace {
  freeBytes: number;
  /** Sizes of volumes are multiples of it. */
  extentBytes: number;
}

/** @throws LvmsyncError TOOL_MISSING, TOOL_FAILED */
export async function readGroupSpace(vgName: string): Promise<GroupSpace> {
  const format = ['--noheadings', '--units', 'b', '--nosuffix', '--separator', ' '];
  const fields = ['--options', 'vg_free,vg_extent_size'];
  const output = await runTool('vgs', [...format, ...fields, '--', vgName]);
  if (output.status !== 0) throw toolError('vgs', output);
  const match = /^(\d+) (\d+)$/.exec(output.stdout.trim());
  if (match !== null) return { freeBytes: Number(match[1]), extentBytes: Number(match[2]) };
  throw new LvmsyncError('TOOL_FAILED', 'vgs printed what lvmsync cannot read', {
    hint: 'report it, with your LVM version (vgs --version)',
  });
}
