import { LvmsyncError } from '../errors.js';
import { runTool, toolError } from './run-tool.js';

/**
 * How often a device-mapper device is open: by processes, mounts and devices on top of it. The
 * snapshots of an origin are not counted, since what they use is the device beneath it.
 *
 * @param device `MAJOR:MINOR`
 * @throws LvmsyncError TOOL_MISSING, TOOL_FAILED
 */
export async function readOpenCount(device: string): Promise<number> {
  const [major = '', minor = ''] = device.split(':');
  const columns = ['info', '--columns', '--noheadings', '--options', 'open'];
  const output = await runTool('dmsetup', [...columns, '-j', major, '-m', minor]);
  if (output.status !== 0) throw toolError('dmsetup', output);
  const words = output.stdout.trim();
  if (/^\d+$/.test(words)) return Number(words);
  throw new LvmsyncError('TOOL_FAILED', 'dmsetup printed what lvmsync cannot read', {
    hint: 'report it, with your LVM version (dmsetup --version)',
  });
}
