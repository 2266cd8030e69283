/** Volumes that lvmsync makes itself: the target of a copy. */
import { existsSync } from 'node:fs';
import { LvmsyncError } from '../errors.js';
import { runTool, toolError } from './run-tool.js';

export interface NewVolume {
  sizeBytes: number;
  /** Of the same volume group; a thick volume unless said. */
  thinPool?: string | undefined;
}

/** Names as lvm(8) allows them, "VALID NAMES". */
const NAME = /^(?!\.{1,2}$)[a-zA-Z0-9+_.][a-zA-Z0-9+_.-]{0,126}$/;
const VOLUME_PATH = /^\/dev\/([^/]+)\/([^/]+)$/;
const SECTOR_BYTES = 512;

/** Whether LVM could take this for the name of a group, volume or pool. */
export function isLvmName(name: string): boolean {
  return NAME.test(name);
}

/**
 * Makes the volume `/dev/GROUP/NAME` unless something is there already. Its size is rounded up to
 * whole extents; what it held before (a thick one takes over used disk) stays in it.
 *
 * @returns whether it was made
 * @throws LvmsyncError TARGET_UNSUITABLE, TOOL_MISSING; TOOL_FAILED, also when there is no room
 */
export async function createMissingVolume(path: string, volume: NewVolume): Promise<boolean> {
  if (existsSync(path)) return false;
  const [, group = '', name = ''] = VOLUME_PATH.exec(path) ?? [];
  const { thinPool } = volume;
  if (![group, name, thinPool ?? name].every(isLvmName)) {
    throw new LvmsyncError('TARGET_UNSUITABLE', `${path} is no name for a new logical volume`, {
      path,
      hint: 'with --create, name the target /dev/GROUP/NAME, and its pool NAME',
    });
  }
  const size = `${Math.ceil(volume.sizeBytes / SECTOR_BYTES) * SECTOR_BYTES}b`;
  const place =
    thinPool === undefined
      ? ['--size', size, '--name', name, group]
      : ['--virtualsize', size, '--thinpool', `${group}/${thinPool}`, '--name', name];
  // Signatures of file systems that were there before would make lvcreate ask.
  const output = await runTool('lvcreate', ['--quiet', '--yes', '--wipesignatures', 'n', ...place]);
  if (output.status !== 0) throw toolError('lvcreate', output);
  return true;
}
