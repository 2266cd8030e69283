/** What the steps of a migration have in common. */
import { randomBytes } from 'node:crypto';
import type { Engine } from '../block/engine.js';
import type { MigrationFile } from '../send/migration-file.js';
import type { MigrationState } from '../send/migration-state.js';
import { interruptedError } from '../send/send.js';
import type { DeliveryWishes, PeerConnection, PeerSource } from './look-at-target.js';
import type { Origin } from './origin.js';
import type { SnapshotSize } from './store-size.js';

/** What of the target is compared with the origin before it takes its place. */
export type VerifyChoice = 'changed' | 'sample' | 'full' | 'none';

export type OnStall = 'cutover' | 'continue' | 'abort';

/** The far side, over a connection of its own kind. */
export interface MigrationPeer {
  connect(source: PeerSource): PeerConnection;
  /** Runs a shell command line of the user's there. @throws LvmsyncError COMMAND_FAILED */
  runShell(line: string): Promise<void>;
}

export interface MigrateOptions {
  /** The origin by any name that LVM knows. */
  origin: string;
  /** For people, and to tell one migration from another: `[[user@]host:]path`. */
  destination: string;
  engine: Engine;
  peer: MigrationPeer;
  /** How data is sent. */
  delivery: DeliveryWishes;
  snapshotSize: SnapshotSize;
  /** From 1 to 100. */
  extendAtPercent: number;
  maxDowntimeSeconds: number;
  /** So many rounds, whatever is left then. */
  rounds?: number | undefined;
  /** Asks, where somebody is there to answer, unless it is said. */
  onStall?: OnStall | undefined;
  /** Shell command lines: on this machine, and on the target's. */
  beforeCutover?: string | undefined;
  afterCutover?: string | undefined;
  verify: VerifyChoice;
  dryRun?: boolean | undefined;
  stateDirectory?: string | undefined;
  signal: AbortSignal;
  /** Undefined where nobody is there to be asked. */
  ask?: ((question: string, answers: readonly string[]) => Promise<string>) | undefined;
  /** Runs a shell command line on this machine. @throws LvmsyncError COMMAND_FAILED */
  runShell(line: string): Promise<void>;
  onSay(line: string): void;
  onNote(line: string): void;
  onWarning(line: string): void;
}

export interface Migration {
  readonly options: MigrateOptions;
  readonly origin: Origin;
  readonly file: MigrationFile;
  state: MigrationState;
  /** Left before each round of this run. */
  pendingBytes: number[];
  /** A snapshot fills up and cannot be extended: no time for what only saves bytes. */
  hurried: boolean;
  /** What this run has sent and compared, over all of its rounds. */
  readonly totals: { dataBytes: number; comparedBytes: number };
  /** The cut-over, once it has begun in this run. */
  cutover: { startedAt: number; commandSeconds: number } | undefined;
}

export function newState({ name, volume }: Origin, destination: string): MigrationState {
  const { vgUuid, lvUuid } = volume;
  return {
    id: randomBytes(4).toString('hex'),
    origin: { name, vgUuid, lvUuid },
    destination,
    begunAt: Math.floor(Date.now() / 1000),
    snapshotCount: 0,
    snapshots: [],
    held: undefined,
    copied: false,
    begun: false,
    rounds: 0,
    bytesPerSecond: undefined,
    overflows: 0,
    delivered: undefined,
  };
}

/** Changes the state, durably. */
export async function record(
  migration: Migration,
  changes: Partial<MigrationState>,
): Promise<void> {
  const state = { ...migration.state, ...changes };
  await migration.file.save(state);
  migration.state = state;
}

export function throwIfInterrupted({ options: { signal } }: Migration): void {
  if (signal.aborted) throw interruptedError();
}
