/** Volumes that lvmsync makes itself: the target of a copy. */
import { existsSync } from 'node:fs';
import { LvmsyncError } from '../errors.js';
import { runTool, toolError } from './run-tool.js';
import { readGroupSpace } from './volume-group.js';

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
  const { thinPool } = volume;
  const { group, name } = splitPath(path, volume);
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

/**
 * Finds out beforehand whether `createMissingVolume` would get there; nothing is made.
 *
 * @throws LvmsyncError TARGET_UNSUITABLE, TARGET_TOO_SMALL when there is no room, TOOL_MISSING,
 *   TOOL_FAILED also when there is no such group or pool
 */
export async function assertVolumeCanBeMade(path: string, volume: NewVolume): Promise<void> {
  const { group } = splitPath(path, volume);
  const { freeBytes } = await readGroupSpace(group);
  if (volume.thinPool !== undefined) {
    const pool = `${group}/${volume.thinPool}`;
    const output = await runTool('lvs', ['--noheadings', '--options', 'lv_name', pool]);
    if (output.status !== 0) throw toolError('lvs', output);
  } else if (freeBytes < volume.sizeBytes) {
    throw new LvmsyncError(
      'TARGET_TOO_SMALL',
      `${path} would take ${volume.sizeBytes} bytes, but ${group} has ${freeBytes} bytes free`,
      { path, hint: 'make room (vgextend), or name another group' },
    );
  }
}

/** @throws LvmsyncError TARGET_UNSUITABLE */
function splitPath(path: string, { thinPool }: NewVolume): { group: string; name: string } {
  const [, group = '', name = ''] = VOLUME_PATH.exec(path) ?? [];
  if ([group, name, thinPool ?? name].every(isLvmName)) return { group, name };
  throw new LvmsyncError('TARGET_UNSUITABLE', `${path} is no name for a new logical volume`, {
    path,
    hint: 'with --create, name the target /dev/GROUP/NAME, and its pool NAME',
  });
}
