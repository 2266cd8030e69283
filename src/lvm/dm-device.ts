import { basename } from 'node:path';
import { deviceId } from '../block/guard-devices.js';
import { LvmsyncError } from '../errors.js';
import { readdir, readFile, realpath, stat } from '../files.js';
import { type DmTarget, parseTargets } from './dm-table.js';
import { runTool, toolError } from './run-tool.js';

/**
 * Devices by their numbers, `MAJOR:MINOR`: names can be escaped, aliased and reused, numbers tell
 * what is on what.
 */

const SECTOR_BYTES = 512; // the unit of device-mapper and of sysfs, whatever the device's blocks

/** What a device is called: its node, which exists and has this number. */
export async function deviceNode(id: string): Promise<string> {
  const dmName = await readAttribute(id, 'dm/name');
  const kernelName = basename(await realpath(`/sys/dev/block/${id}`).catch(() => id));
  // sysfs writes the slash of names such as `cciss/c0d0` as an exclamation mark.
  const nodes = [`/dev/${kernelName.replaceAll('!', '/')}`, `/dev/block/${id}`];
  if (dmName !== undefined) nodes.unshift(`/dev/mapper/${dmName}`);
  for (const node of nodes) {
    if ((await deviceNumber(node)) === id) return node;
  }
  throw new LvmsyncError('VOLUME_NOT_FOUND', `block device ${id} has no node in /dev`, {
    hint: 'make the missing nodes: dmsetup mknodes',
  });
}

/** `MAJOR:MINOR` of the block device at a path, links followed; undefined for anything else. */
export async function deviceNumber(path: string): Promise<string | undefined> {
  const stats = await stat(path, { bigint: true }).catch(() => undefined);
  return stats?.isBlockDevice() ? deviceId(stats.rdev) : undefined;
}

/** Size of a device in bytes. */
export async function deviceBytes(id: string): Promise<number> {
  const sectors = Number(await readAttribute(id, 'size'));
  if (Number.isSafeInteger(sectors)) return sectors * SECTOR_BYTES;
  throw new LvmsyncError('VOLUME_NOT_FOUND', `there is no block device ${id} any more`, {
    hint: 'something removed it just now: look with lvs and dmsetup, and run it again',
  });
}

/** device-mapper's uuid, such as `LVM-` and 64 characters; undefined for other devices. */
export function dmUuid(id: string): Promise<string | undefined> {
  return readAttribute(id, 'dm/uuid');
}

/** device-mapper's name; undefined for other devices. */
export function dmName(id: string): Promise<string | undefined> {
  return readAttribute(id, 'dm/name');
}

export async function isPartition(id: string): Promise<boolean> {
  return (await readAttribute(id, 'partition')) !== undefined;
}

/** Numbers of the devices that are built directly on this one, ascending. */
export async function deviceHolders(id: string): Promise<string[]> {
  const directory = `/sys/dev/block/${id}/holders`;
  const numbers = await Promise.all(
    (await readdir(directory).catch(() => [])).map(async (holder) =>
      (await readText(`${directory}/${holder}/dev`)).trim(),
    ),
  );
  const minor = (number: string) => Number(number.split(':')[1]);
  return numbers.filter((number) => number !== '').sort((a, b) => minor(a) - minor(b));
}

/** The targets a device-mapper device is made of. @throws LvmsyncError TOOL_FAILED and its kin */
export function readTable(id: string): Promise<DmTarget[]> {
  return readTargets('table', id);
}

/** What the targets of a device-mapper device say. @throws LvmsyncError TOOL_FAILED and its kin */
export function readStatus(id: string): Promise<DmTarget[]> {
  return readTargets('status', id);
}

async function readTargets(command: 'table' | 'status', id: string): Promise<DmTarget[]> {
  const [major = '', minor = ''] = id.split(':');
  const output = await runTool('dmsetup', [command, '-j', major, '-m', minor]);
  if (output.status !== 0) throw toolError('dmsetup', output);
  return parseTargets(output.stdout);
}

async function readAttribute(id: string, attribute: string): Promise<string | undefined> {
  const text = await readText(`/sys/dev/block/${id}/${attribute}`);
  return text.replace(/\n$/, '') || undefined;
}

function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
