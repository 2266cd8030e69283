/** What the steps of a replication have in common. */
import type { Engine } from '../block/engine.js';
import type { ReplicaRun } from '../receive/history-plan.js';
import type { NextSnapshots, ReplicaMember, ReplicaState } from '../send/replica-state.js';
import { interruptedError } from '../send/send.js';
import type { StateFile } from '../send/state-file.js';
import type { DeliveryWishes, PeerConnection, PeerSource } from './look-at-target.js';
import type { Origin } from './origin.js';
import type { SnapshotSize } from './store-size.js';

/** What a receiver is to do with what it gets. */
export interface Receiving {
  transactional: boolean;
  /** See `DeliverOptions`. */
  hold: boolean;
  replica: ReplicaRun;
}

/** A volume and where it goes. */
export interface ReplicaPair {
  /** The origin by any name that LVM knows. */
  origin: string;
  /** For people, and to know it again: `[[user@]host:]path`. */
  destination: string;
  delivery: DeliveryWishes;
  /** @param receiving undefined for a receiver that is only asked */
  connect(source: PeerSource, receiving: Receiving | undefined): PeerConnection;
}

export interface ReplicateOptions {
  /** Several switch all or none. */
  pairs: readonly ReplicaPair[];
  engine: Engine;
  /** How many earlier states each target can be rolled back to. */
  keep: number;
  snapshotSize: SnapshotSize;
  /** From 1 to 100. */
  extendAtPercent: number;
  /** Freeze the file systems of the origins while the snapshots are taken. */
  freeze?: boolean | undefined;
  /** Shell command lines before and after the snapshots are taken. */
  pre?: string | undefined;
  post?: string | undefined;
  /** How long what writes may be held still. */
  pauseSeconds: number;
  /** Do not believe that the targets hold what they should: compare them whole. */
  compare?: boolean | undefined;
  dryRun?: boolean | undefined;
  stateDirectory?: string | undefined;
  signal: AbortSignal;
  /** Told what the two commands print. */
  onOutput(chunk: Buffer): void;
  onSay(line: string): void;
  onNote(line: string): void;
  onWarning(line: string): void;
}

export interface Replica {
  readonly options: ReplicateOptions;
  readonly file: StateFile<ReplicaState>;
  /** In the order of the state's members. */
  readonly parts: readonly ReplicaPart[];
  state: ReplicaState;
  /** Saves one after the other. */
  saving: Promise<void>;
  /** Lists of changes are read one after the other: a thin pool shows its to one at a time. */
  opening: Promise<void>;
  /** Of this run. */
  overflows: number;
}

export interface ReplicaPart {
  readonly pair: ReplicaPair;
  readonly origin: Origin;
  /** Of its record among the state's members. */
  readonly index: number;
}

/** Changes the state, durably; what runs at the same time waits for its turn. */
export function record(
  replica: Replica,
  change: (state: ReplicaState) => Partial<ReplicaState>,
): Promise<void> {
  const save = async () => {
    const state = { ...replica.state, ...change(replica.state) };
    await replica.file.save(state);
    replica.state = state;
  };
  const saved = replica.saving.then(save);
  replica.saving = saved.catch(() => undefined);
  return saved;
}

export function recordMember(
  replica: Replica,
  { index }: ReplicaPart,
  changes: Partial<ReplicaMember>,
): Promise<void> {
  return record(replica, ({ members }) => ({
    members: members.map((member, i) => (i === index ? { ...member, ...changes } : member)),
  }));
}

export function memberOf({ state }: Replica, { index }: ReplicaPart): ReplicaMember {
  const member = state.members[index];
  if (member === undefined) throw new Error(`no member ${index}`);
  return member;
}

/** Whether a part's target holds its snapshot of these. */
export function hasSwitched(replica: Replica, part: ReplicaPart, next: NextSnapshots): boolean {
  return memberOf(replica, part).held?.name === next.names[part.index];
}

export function throwIfInterrupted({ options: { signal } }: Replica): void {
  if (signal.aborted) throw interruptedError();
}
