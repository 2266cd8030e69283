/** What tells one target from any other, so that a log, a spool or a lock finds its own again. */
import { realpath, stat } from '../files.js';
import { deviceId, readAttribute, readDeviceFacts } from './guard-devices.js';

/**
 * The identity of a block device or a file, the same by whatever path it is named: device-mapper's
 * uuid; for other devices their path and number, with the disk's own name where it has one; for
 * files their path and inode, so that a file put in its place is another one.
 *
 * @throws what `stat` throws
 */
export async function identify(path: string): Promise<string> {
  const place = await realpath(path);
  const stats = await stat(place, { bigint: true });
  if (!stats.isBlockDevice()) return `file ${place} ${stats.ino}`;
  const id = deviceId(stats.rdev);
  const facts = await readDeviceFacts(id);
  if (facts?.dmUuid !== undefined) return `dm ${facts.dmUuid}`;
  // A disk may come back under another's name after a reboot; most have a name of their own.
  const own =
    (await readAttribute(`/sys/dev/block/${id}/loop/backing_file`)) ??
    (await readAttribute(`/sys/dev/block/${id}/wwid`)) ??
    (await readAttribute(`/sys/dev/block/${id}/device/wwid`)) ??
    (await readAttribute(`/sys/dev/block/${id}/serial`));
  return `device ${place} ${id}${own === undefined ? '' : ` ${own}`}`;
}
