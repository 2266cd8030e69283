import { LvmsyncError } from '../errors.js';
import { deviceNumber, dmName, readTable } from './dm-device.js';
import { parseOriginTable } from './dm-table.js';
import { findDevice } from './find-device.js';
import { findThickSnapshot, type ThickSnapshot } from './thick-snapshot.js';

/** Whether both are snapshots of one origin. */
export function sameOrigin(one: ThickSnapshot, other: ThickSnapshot): boolean {
  return one.realDevice === other.realDevice;
}

/**
 * Checks that the data of `snapshot`'s changes can be read from `name`: a later snapshot of the
 * same origin, which lists every chunk that has changed since.
 *
 * @returns that later snapshot
 * @throws LvmsyncError DATA_SOURCE_UNSUITABLE, saying why; and what `findThickSnapshot` throws
 */
export async function checkDataSource(
  snapshot: ThickSnapshot,
  name: string,
): Promise<ThickSnapshot> {
  const device = await findDevice(name);
  if (device === snapshot.device) {
    throw unsuitable(name, `is ${snapshot.name} itself, which shows the old data`);
  }
  if (device === (await deviceNumber(snapshot.originPath))) {
    throw unsuitable(name, 'is the origin', 'leave --data-source away: the origin is read anyway');
  }
  await refuseOrigins(device, name);
  const source = await findThickSnapshot(name);
  if (!sameOrigin(snapshot, source)) {
    throw unsuitable(name, `is a snapshot of ${source.originPath}, not of ${snapshot.originPath}`);
  }
  assertLater(snapshot, source, name);
  return source;
}

/** An origin stands for its only snapshot elsewhere, but here its name would be misleading. */
async function refuseOrigins(device: string, name: string): Promise<void> {
  if ((await dmName(device)) === undefined) return;
  const [target] = await readTable(device);
  if (target?.type !== 'snapshot-origin') return;
  throw unsuitable(name, `is another origin, on device ${parseOriginTable(target)}`);
}

function assertLater(snapshot: ThickSnapshot, source: ThickSnapshot, name: string): void {
  const first = snapshot.volume?.createdAt;
  const second = source.volume?.createdAt;
  const hint = `if ${source.name} is the later one for certain, say --force`;
  if (first === undefined || second === undefined) {
    throw unsuitable(name, `may be older than ${snapshot.name}: LVM has no time for both`, hint);
  }
  if (first === second) {
    const words = `was taken in the same second as ${snapshot.name}: which is later is not known`;
    throw unsuitable(name, words, hint);
  }
  if (second < first) throw unsuitable(name, `was taken before ${snapshot.name}`);
}

function unsuitable(
  name: string,
  words: string,
  hint = 'name a later snapshot of the same origin',
): LvmsyncError {
  return new LvmsyncError('DATA_SOURCE_UNSUITABLE', `${name} ${words}`, { path: name, hint });
}
