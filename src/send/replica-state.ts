/** What a replication must not forget between its runs, as JSON in a file of the state directory. */
import { sha256Hex } from '../checksum/sha256.js';
import { LvmsyncError } from '../errors.js';
import {
  count,
  formatVersioned,
  list,
  matching,
  type OriginRecord,
  object,
  optional,
  parseDestinationName,
  parseId,
  parseOrigin,
  parseVersioned,
  parseVolumeName,
  truth,
} from './state-fields.js';
import { type StateFile, stateFile } from './state-file.js';

export interface ReplicaState {
  /** In the names and the tag of its snapshots: see `replicaId`. */
  id: string;
  /** Of one target, or of several that switch together; ordered as `replicaId` has them. */
  members: ReplicaMember[];
  /** How many snapshots of each origin were ever planned. */
  snapshotCount: number;
  /** What is on its way to the targets. */
  next: NextSnapshots | undefined;
}

export interface ReplicaMember {
  origin: OriginRecord;
  /** As it was given: `[[user@]host:]path`. */
  destination: string;
  /** The snapshot that the target holds, but for chunks of the next one. */
  held: HeldSnapshot | undefined;
  /** Whether it has held one: then what differs is found by comparing where `held` is lost. */
  copied: boolean;
  /** Whether a transfer was begun since `held`: then the target may not look like it. */
  begun: boolean;
  /** How often a snapshot of it has overflowed. */
  overflows: number;
}

export interface HeldSnapshot {
  name: string;
  /** When it was taken: `2026-01-31T12:00:00.000Z`. */
  at: string;
}

export interface NextSnapshots {
  /** When they were taken. */
  at: string;
  /** One for each member; on record before they are made. */
  names: string[];
  /** All of them are there. */
  taken: boolean;
  /** All targets have what they need, and each is to switch, whatever happens. */
  decided: boolean;
}

/** Raised when an older lvmsync could not go on with what is written. */
const VERSION = 1;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/** `lvmsync.replica.ID`: an LVM tag, which tells its snapshots from anybody else's. */
const TAG_PREFIX = 'lvmsync.replica.';
const FILE_SUFFIX = '.replica';

export function replicaTag(id: string): string {
  return `${TAG_PREFIX}${id}`;
}

/** A volume, by its UUID, and where it goes. */
export type Pair = readonly [lvUuid: string, destination: string];

/** The same for the same pairs in any order: eight hexadecimal digits. */
export function replicaId(pairs: readonly Pair[]): string {
  const text = JSON.stringify(pairs.map((pair) => JSON.stringify(pair)).sort());
  return sha256Hex(text).slice(0, 8);
}

/** @param asked see `stateDirectoryPath` */
export function replicaFile(asked: string | undefined, id: string): StateFile<ReplicaState> {
  return stateFile(asked, `${id}${FILE_SUFFIX}`, {
    what: 'replica',
    format: formatReplicaState,
    parse: parseReplicaState,
  });
}

/** The ids of all replicas that have a state among these files. */
export function replicaIdsOf(fileNames: readonly string[]): string[] {
  return fileNames.flatMap((name) => /^([0-9a-f]{8})\.replica$/.exec(name)?.[1] ?? []);
}

export function formatReplicaState(state: ReplicaState): string {
  return formatVersioned(state, VERSION);
}

/**
 * @param path for messages
 * @throws LvmsyncError STATE_UNUSABLE
 */
export function parseReplicaState(text: string, path: string): ReplicaState {
  try {
    const fields = parseVersioned(text, VERSION);
    const members = list(fields.members, 'members').map(parseMember);
    const next = optional(fields.next, parseNext);
    if (members.length === 0) throw new Error('it has no members');
    if (next !== undefined && next.names.length !== members.length) {
      throw new Error('its snapshots are not one for each member');
    }
    return {
      id: parseId(fields.id),
      members,
      snapshotCount: count(fields.snapshotCount, 'snapshotCount'),
      next,
    };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new LvmsyncError(
      'STATE_UNUSABLE',
      `the state of the replica in ${path} cannot be used: ${reason}`,
      {
        path,
        hint: 'clean up with lvmsync replicate --remove and begin again with --compare, or use the version of lvmsync that wrote it',
        cause,
      },
    );
  }
}

function parseMember(value: unknown): ReplicaMember {
  const fields = object(value, 'a member');
  return {
    origin: parseOrigin(fields.origin),
    destination: parseDestinationName(fields.destination),
    held: optional(fields.held, parseHeld),
    copied: truth(fields.copied, 'copied'),
    begun: truth(fields.begun, 'begun'),
    overflows: count(fields.overflows, 'overflows'),
  };
}

function parseHeld(value: unknown): HeldSnapshot {
  const fields = object(value, 'held');
  return { name: parseVolumeName(fields.name), at: parseTime(fields.at) };
}

function parseNext(value: unknown): NextSnapshots {
  const fields = object(value, 'next');
  return {
    at: parseTime(fields.at),
    names: list(fields.names, 'names').map(parseVolumeName),
    taken: truth(fields.taken, 'taken'),
    decided: truth(fields.decided, 'decided'),
  };
}

function parseTime(value: unknown): string {
  const text = matching(value, 'a time', TIME);
  if (!Number.isNaN(Date.parse(text))) return text;
  throw new Error('a time is none');
}
