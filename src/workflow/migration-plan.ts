/** What is checked before a migration changes anything, and what it is going to do. */
import { LvmsyncError } from '../errors.js';
import { deviceNode } from '../lvm/dm-device.js';
import type { LogicalVolume } from '../lvm/logical-volume.js';
import { checkThinDeltaVersion } from '../lvm/thin-delta.js';
import { readGroupSpace } from '../lvm/volume-group.js';
import { askReceiver } from '../send/ask-receiver.js';
import { openForProto4 } from './deliver.js';
import { inBytes, type MigrateOptions, type Migration } from './migration.js';
import { storeBytes } from './store-size.js';

/** A round has two snapshots at a time. */
const SNAPSHOTS_AT_A_TIME = 2;

/** First letters of what lvs calls `lv_attr`, of volumes that can have snapshots: see lvs(8). */
const ORIGIN_KINDS = '-oVrRmMC';

/**
 * A volume that can be migrated, and how its snapshots will be.
 *
 * @throws LvmsyncError ORIGIN_UNSUITABLE
 */
export function asOrigin(volume: LogicalVolume): {
  origin: LogicalVolume & { device: string };
  kind: 'thick' | 'thin';
} {
  const { attributes, device } = volume;
  const name = `${volume.vgName}/${volume.lvName}`;
  if (!ORIGIN_KINDS.includes(attributes[0] ?? '?')) {
    const what = attributes[0]?.toLowerCase() === 's' ? 'is a snapshot' : 'is no volume of data';
    throw unsuitable(name, `${what} (lvs calls it ${attributes})`);
  }
  if (device === undefined)
    throw unsuitable(name, 'is not active', `activate it: lvchange -ay ${name}`);
  return { origin: { ...volume, device }, kind: volume.thin === undefined ? 'thick' : 'thin' };
}

/**
 * Checks both sides and says what will be done. Nothing is changed.
 *
 * @throws LvmsyncError ORIGIN_UNSUITABLE, TOOL_MISSING, what the receiver refuses with, and its kin
 */
export async function checkAndPrintPlan(migration: Migration): Promise<void> {
  const { options, originName, origin, kind, state } = migration;
  const { onSay, destination } = options;
  onSay(`Migrating ${originName} (${inBytes(origin.sizeBytes)}, ${kind}) to ${destination}`);
  onSay(`  snapshots: ${await planSnapshots(migration)}`);
  const { version, target } = await lookAtTarget(migration);
  const kindOfTarget = target.kind === 'file' ? 'a file' : 'a block device';
  onSay(
    `  target: ${kindOfTarget} of ${inBytes(target.sizeBytes)}, not in use; lvmsync ${version} there`,
  );
  if (options.afterCutover !== undefined) await options.peer.runShell(':');
  onSay(`  rounds: ${planRounds(options)}`);
  onSay(`  cut-over: ${planCutover(options)}`);
  if (state.snapshotCount > 0) onSay(`  goes on with the migration begun ${dateOf(state.begunAt)}`);
}

async function planSnapshots({ origin, kind, options, originName }: Migration): Promise<string> {
  if (kind === 'thin') {
    await checkThinDeltaVersion();
    return 'thin ones';
  }
  const { freeBytes, extentBytes } = await readGroupSpace(origin.vgName);
  const wanted = storeBytes(options.snapshotSize, origin.sizeBytes, 0);
  const needed = SNAPSHOTS_AT_A_TIME * extentBytes * Math.ceil(wanted / extentBytes);
  const held = `${inBytes(freeBytes)} of ${origin.vgName} are free`;
  if (needed > freeBytes) {
    throw unsuitable(
      originName,
      `needs ${inBytes(needed)} for two snapshots, but ${held}`,
      'make room (vgextend), or take smaller ones with --snapshot-size',
    );
  }
  return `two at a time, ${inBytes(wanted)} for the changes of each, extended at ${options.extendAtPercent}%; ${held}`;
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

async function lookAtTarget({ options, origin }: Migration) {
  const { engine, delivery, peer } = options;
  const source = { volumeBytes: origin.sizeBytes, paths: [await deviceNode(origin.device)] };
  const connection = peer.connect(source);
  // A receiver that is only asked calls that a failure.
  const held: Buffer[] = [];
  try {
    const channel = await openForProto4(
      {
        ...delivery,
        protocol: 4,
        open: (_, onStderr) => connection.openVerifier(onStderr, true),
        onStderr: (chunk) => held.push(chunk),
      },
      true,
    );
    if (channel === undefined) throw new Error('no receiver');
    const hello = await askReceiver(channel, { engine, timeoutMs: delivery.timeoutMs });
    if (hello.target.sizeBytes >= origin.sizeBytes) return hello;
    throw new LvmsyncError(
      'TARGET_TOO_SMALL',
      `the target has ${hello.target.sizeBytes} bytes, but the origin has ${origin.sizeBytes}`,
      { hint: 'enlarge it (lvextend) or name a larger target' },
    );
  } catch (error) {
    for (const chunk of held) delivery.onStderr(chunk);
    throw error;
  } finally {
    await connection.close();
  }
}

export function dateOf(secondsSince1970: number): string {
  return new Date(secondsSince1970 * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
}

function unsuitable(
  name: string,
  words: string,
  hint = 'name a logical volume that can have snapshots; see what there is with: lvs',
): LvmsyncError {
  return new LvmsyncError('ORIGIN_UNSUITABLE', `${name} ${words}`, { path: name, hint });
}
