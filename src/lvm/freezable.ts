import { deviceId } from '../block/guard-devices.js';
import { readMounts } from '../block/guard-mounts.js';
import { LvmsyncError } from '../errors.js';
import { stat } from '../files.js';

/** What taking a snapshot reads or writes: LVM's tools, their locks and backups, this program. */
const NEEDED = ['/', '/usr', '/etc', '/etc/lvm', '/run', '/var', '/tmp', '/dev', process.execPath];

/**
 * Where the volumes are mounted to be written: each file system once.
 *
 * @param devices `MAJOR:MINOR` of each
 * @param needed paths of the caller's that must not be frozen either
 * @throws LvmsyncError PAUSE_FAILED for one that lvmsync itself needs
 */
export async function findFreezable(
  devices: readonly string[],
  needed: readonly string[],
): Promise<string[]> {
  const mounts = await readMounts();
  const points: string[] = [];
  for (const device of devices) {
    const mount = mounts.find((each) => each.device === device && !each.readOnly);
    if (mount === undefined) continue;
    for (const path of [...NEEDED, ...needed])
      await assertElsewhere(path, device, mount.mountPoint);
    points.push(mount.mountPoint);
  }
  return points;
}

async function assertElsewhere(path: string, device: string, mountPoint: string): Promise<void> {
  const stats = await stat(path, { bigint: true }).catch(() => undefined);
  if (stats === undefined || deviceId(stats.dev) !== device) return;
  throw new LvmsyncError(
    'PAUSE_FAILED',
    `${mountPoint} cannot be frozen: ${path} is on it, which lvmsync and LVM need meanwhile`,
    { path: mountPoint, hint: 'leave --freeze away, and stop what writes with --pre and --post' },
  );
}
