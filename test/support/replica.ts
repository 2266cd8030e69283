/** A volume on the sender, a blank target on the receiver, and the command that replicates it. */
import type { TestContext } from 'node:test';
import { seededWrites, writeAt } from './devices.js';
import type { Receiver } from './hosts.js';
import { createPool, createThinVolume, createVolume, removeVolumes } from './lvm.js';
import { lvmsyncOk } from './lvmsync.js';
import { createBlankTarget } from './migration.js';
import { changeThin } from './thin-changes.js';
import { removeTarget } from './transfer.js';

const KIB = 1024;
const MIB = 1024 * KIB;
export const ORIGIN_BYTES = 8 * MIB;
/** The sender's state directory. */
export const STATE = '/run/state';
/** In the groups `near` and `far`; all is removed behind the test. */
export async function prepareReplica(
  context: TestContext,
  receiver: Receiver,
  kind: 'thick' | 'thin',
) {
  if (kind === 'thin') await createPool('near', 'pool', 64 * MIB, 64 * KIB);
  const origin =
    kind === 'thin'
      ? await createThinVolume('near', 'pool', 'origin', ORIGIN_BYTES)
      : await createVolume('near', 'origin', ORIGIN_BYTES, 1);
  const target = await createBlankTarget(receiver, ORIGIN_BYTES);
  const pair = ['near/origin', target.destination];
  context.after(async () => {
    await lvmsyncOk(['replicate', '--state-dir', STATE, '--remove', ...pair]);
    await removeTarget(receiver, target);
    await removeVolumes(kind === 'thin' ? 'near/pool' : origin);
  });
  const replicate = (...options: string[]) => [
    ...['replicate', '--state-dir', STATE, ...options, ...pair],
  ];
  /** Changes the volume. */
  const change = async (seed: number) => {
    if (kind === 'thin') await changeThin(origin, 10 * seed, ORIGIN_BYTES, 64 * KIB);
    else writeAt(origin, seed, seededWrites(seed, 12, 64 * KIB, ORIGIN_BYTES));
  };
  return { origin, target, replicate, change };
}
