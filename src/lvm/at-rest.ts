import { readDeviceFacts } from '../block/guard-devices.js';
import { readMounts } from '../block/guard-mounts.js';
import { deviceHolders, deviceNode } from './dm-device.js';
import { isFrozen } from './frozen.js';
import { readOpenCount } from './open-count.js';

/** A mounted file system opens its device once. */
const OPEN_BY_MOUNT = 1;

/**
 * Whether anybody could write to an origin: it is at rest when it is closed, read-only, or open
 * only as a file system that is mounted read-only or frozen.
 *
 * @param device `MAJOR:MINOR`
 * @returns what keeps it in use, in words; undefined when it is at rest
 * @throws LvmsyncError TOOL_MISSING, TOOL_FAILED
 */
export async function whyNotAtRest(device: string): Promise<string | undefined> {
  const openCount = await readOpenCount(device);
  if (openCount === 0) return undefined;
  if ((await readDeviceFacts(device))?.readOnly) return undefined;
  const mounts = (await readMounts()).filter((mount) => mount.device === device);
  const writable = mounts.find(({ readOnly }) => !readOnly);
  if (writable !== undefined && !(await isFrozen(writable.mountPoint))) {
    return `is mounted on ${writable.mountPoint}`;
  }
  const others = openCount - (mounts.length > 0 ? OPEN_BY_MOUNT : 0);
  if (others <= 0) return undefined;
  const holders = await Promise.all((await deviceHolders(device)).map(deviceNode));
  if (holders.length > 0) return `is held by ${holders.join(', ')}`;
  return `is open in ${others === 1 ? 'one place' : `${others} places`}`;
}
