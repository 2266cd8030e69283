/** A whole volume, device or file by any of its names, and whether something may be writing to it. */
import type { Engine } from '../block/engine.js';
import { deviceId, readDeviceFacts } from '../block/guard-devices.js';
import { readMounts } from '../block/guard-mounts.js';
import { stat } from '../files.js';
import { deviceNode, readTable } from '../lvm/dm-device.js';
import { findDevice } from '../lvm/find-device.js';
import type { ChangeSource } from './change-source.js';
import { openWholeSource } from './whole-source.js';

export interface NamedSource {
  source: ChangeSource;
  /** It is not read-only, and no thick snapshot. */
  live: boolean;
  /** Where it is mounted to be written. */
  mountPoint: string | undefined;
}

/** @throws LvmsyncError VOLUME_NOT_FOUND and its kin, OPEN_FAILED */
export async function openNamedSource(name: string, engine: Engine): Promise<NamedSource> {
  const path = await findPath(name);
  const source = await openWholeSource({ path, engine });
  try {
    return { source, ...(await lookAt(path)) };
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function findPath(name: string): Promise<string> {
  const stats = await stat(name).catch(() => undefined);
  if (stats?.isBlockDevice() || stats?.isFile()) return name;
  return deviceNode(await findDevice(name));
}

async function lookAt(path: string): Promise<Omit<NamedSource, 'source'>> {
  const stats = await stat(path, { bigint: true });
  if (!stats.isBlockDevice()) return { live: true, mountPoint: undefined };
  const id = deviceId(stats.rdev);
  const mount = (await readMounts()).find((one) => one.device === id && !one.readOnly);
  const mountPoint = mount?.mountPoint;
  const facts = await readDeviceFacts(id);
  const live =
    mount !== undefined || !(facts?.readOnly || (await isThickSnapshot(id, facts?.dmUuid)));
  return { live, mountPoint };
}

async function isThickSnapshot(id: string, dmUuid: string | undefined): Promise<boolean> {
  if (dmUuid === undefined) return false;
  const table = await readTable(id).catch(() => []);
  return table.some(({ type }) => type === 'snapshot');
}
