/** Whether a device is written, by the kernel's own counters (Documentation/block/stat.rst). */
import { readFile } from '../files.js';

/** Sectors of 512 bytes since the device was activated. */
export interface DeviceActivity {
  readSectors: number;
  writtenSectors: number;
  discardedSectors: number;
  /** Writes that have been started and have not ended. */
  writesInFlight: number;
}

const READ_SECTORS = 2;
const WRITTEN_SECTORS = 6;
const DISCARDED_SECTORS = 13;

/** @param device `MAJOR:MINOR`; of one that is gone, all counts are 0 */
export async function readDeviceActivity(device: string): Promise<DeviceActivity> {
  const counts = await readCounts(device, 'stat');
  const [, writesInFlight = 0] = await readCounts(device, 'inflight');
  return {
    readSectors: counts[READ_SECTORS] ?? 0,
    writtenSectors: counts[WRITTEN_SECTORS] ?? 0,
    discardedSectors: counts[DISCARDED_SECTORS] ?? 0,
    writesInFlight,
  };
}

/** Whether anything was written or discarded between the two, or still is. */
export function wasWritten(before: DeviceActivity, after: DeviceActivity): boolean {
  return (
    after.writtenSectors !== before.writtenSectors ||
    after.discardedSectors !== before.discardedSectors ||
    after.writesInFlight > 0
  );
}

async function readCounts(device: string, attribute: string): Promise<number[]> {
  const text = await readFile(`/sys/dev/block/${device}/${attribute}`, 'utf8').catch(() => '');
  return text.trim().split(/\s+/).map(Number);
}
