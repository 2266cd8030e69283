import type { Engine } from '../block/engine.js';
import { identify } from '../block/identity.js';
import { acquireLock, type Lock } from '../block/lock.js';
import type { ChangeSource } from './change-source.js';

/** One sender for a snapshot, by what has its old data. @throws LvmsyncError SNAPSHOT_IN_USE */
export async function lockSnapshot(
  { store, description }: ChangeSource,
  engine: Engine,
): Promise<Lock> {
  return acquireLock('snapshot', await identify(store.path), description, engine);
}
