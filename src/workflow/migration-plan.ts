/** What is checked before a migration changes anything, and what it is going to do. */

import { inBytes, inUtc } from '../report/quantities.js';
import { lookAtTarget } from './look-at-target.js';
import type { MigrateOptions, Migration } from './migration.js';
import { planSnapshots } from './origin.js';

/** A round has two snapshots at a time. */
const SNAPSHOTS_AT_A_TIME = 2;

/**
 * Checks both sides and says what will be done. Nothing is changed.
 *
 * @throws LvmsyncError ORIGIN_UNSUITABLE, TOOL_MISSING, what the receiver refuses with, and its kin
 */
export async function checkAndPrintPlan(migration: Migration): Promise<void> {
  const { options, origin, state } = migration;
  const { onSay, destination, engine, delivery, peer } = options;
  const { name, volume, kind } = origin;
  onSay(`Migrating ${name} (${inBytes(volume.sizeBytes)}, ${kind}) to ${destination}`);
  const snapshots = await planSnapshots(origin, {
    size: options.snapshotSize,
    extendAtPercent: options.extendAtPercent,
    count: SNAPSHOTS_AT_A_TIME,
    words: 'two snapshots',
  });
  onSay(`  snapshots: ${snapshots}`);
  const target = await lookAtTarget({ origin, engine, delivery, connect: peer.connect });
  onSay(`  target: ${target}`);
  if (options.afterCutover !== undefined) await options.peer.runShell(':');
  onSay(`  rounds: ${planRounds(options)}`);
  onSay(`  cut-over: ${planCutover(options)}`);
  if (state.snapshotCount > 0) onSay(`  goes on with the migration begun ${inUtc(state.begunAt)}`);
}

function planRounds({ rounds, maxDowntimeSeconds }: MigrateOptions): string {
  if (rounds !== undefined) return `${rounds} after the full copy`;
  return `until what is left takes ${maxDowntimeSeconds} s or less`;
}

function planCutover({ beforeCutover, afterCutover, verify }: MigrateOptions): string {
  const steps = [
    beforeCutover === undefined ? undefined : `"${beforeCutover}" here`,
    'the volume at rest',
    'the last changes',
    verify === 'none' ? undefined : `comparing (${verify})`,
    afterCutover === undefined ? undefined : `"${afterCutover}" there`,
  ];
  return steps.filter((step) => step !== undefined).join(', ');
}
