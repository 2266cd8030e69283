import { setTimeout as delay } from 'node:timers/promises';
import type { LogicalVolume } from './logical-volume.js';
import { runTool, type ToolOutput, toolError } from './run-tool.js';

/** A snapshot may be held open for a moment by whatever looks at new devices (udev, blkid). */
const TRIES = 10;
const RETRY_MS = 300;

/**
 * Removes a snapshot, if it still carries the tag: another volume that has come to its name stays.
 *
 * @throws LvmsyncError TOOL_MISSING; TOOL_FAILED, also while something has it open
 */
export async function removeSnapshot(
  { vgName, lvUuid }: Pick<LogicalVolume, 'vgName' | 'lvUuid'>,
  tag: string,
): Promise<void> {
  const selection = ['--select', `lv_uuid="${lvUuid}" && lv_tags="${tag}"`];
  let output: ToolOutput | undefined;
  for (let tries = 0; tries < TRIES; tries++) {
    output = await runTool('lvremove', ['--quiet', '--yes', ...selection, vgName]);
    if (output.status === 0) return;
    await delay(RETRY_MS);
  }
  if (output !== undefined) throw toolError('lvremove', output);
}
