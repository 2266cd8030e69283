/**
 * Snapshots that lvmsync takes itself. Each carries a tag, by which it is told from anybody else's.
 * lvcreate suspends the origin for a moment, and with it a mounted file system is brought into a
 * state that needs no journal.
 */
import type { LogicalVolume } from './logical-volume.js';
import { runTool, toolError } from './run-tool.js';

export interface SnapshotPlan {
  origin: LogicalVolume;
  /** Of the new snapshot, in the origin's volume group. */
  name: string;
  tag: string;
}

/** @throws LvmsyncError TOOL_MISSING; TOOL_FAILED, also when there is no room for the store */
export async function createThickSnapshot(plan: SnapshotPlan, storeBytes: number): Promise<void> {
  await createSnapshot(plan, ['--size', `${storeBytes}b`]);
}

/** Takes a snapshot of a thin volume, active. @throws LvmsyncError as above */
export async function createThinSnapshot(plan: SnapshotPlan): Promise<void> {
  await createSnapshot(plan, ['--setactivationskip', 'n']);
}

async function createSnapshot(
  { origin, name, tag }: SnapshotPlan,
  kind: readonly string[],
): Promise<void> {
  // What it holds is what is sent: nobody is to write to it.
  const args = [
    '--quiet',
    '--snapshot',
    '--permission',
    'r',
    ...kind,
    '--name',
    name,
    '--addtag',
    tag,
  ];
  const output = await runTool('lvcreate', [...args, `${origin.vgName}/${origin.lvName}`]);
  if (output.status !== 0) throw toolError('lvcreate', output);
}
