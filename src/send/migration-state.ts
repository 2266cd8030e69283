/** What a migration must not forget when it is killed, as JSON in a file of the state directory. */
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

export interface MigrationState {
  /** Eight hexadecimal digits, in the names and the tag of its snapshots. */
  id: string;
  origin: OriginRecord;
  /** As it was given: `[[user@]host:]path`. */
  destination: string;
  /** Seconds since 1970. */
  begunAt: number;
  /** How many snapshots were ever planned: the last one's number. */
  snapshotCount: number;
  /** Names of those that may be there, oldest first: written before they are made. */
  snapshots: string[];
  /** The one that the target holds, but for chunks that have changed since; none before the copy. */
  held: string | undefined;
  /** Whether it has held one: what another copy need not send is worth looking for. */
  copied: boolean;
  /** Whether a transfer of what has changed since `held` was begun. */
  begun: boolean;
  /** Rounds after the full copy. */
  rounds: number;
  /** Measured, of the data sent. */
  bytesPerSecond: number | undefined;
  /** How often an overflow has cost the full copy. */
  overflows: number;
  /** Once the target holds the origin's last state. */
  delivered: Delivered | undefined;
}

export interface Delivered {
  /** Seconds since 1970. */
  at: number;
  /** Of the origin's changes since `held`, as `extentsDigest` gives it. */
  changes: string;
}

/** Raised when an older lvmsync could not go on with what is written. */
const VERSION = 1;

/** `lvmsync.migrate.ID`: an LVM tag, which tells its snapshots from anybody else's. */
export const TAG_PREFIX = 'lvmsync.migrate.';

export function tagOf({ id }: Pick<MigrationState, 'id'>): string {
  return `${TAG_PREFIX}${id}`;
}

export function formatMigrationState(state: MigrationState): string {
  return formatVersioned(state, VERSION);
}

/**
 * @param path for messages
 * @throws LvmsyncError STATE_UNUSABLE
 */
export function parseMigrationState(text: string, path: string): MigrationState {
  try {
    const fields = parseVersioned(text, VERSION);
    const snapshots = list(fields.snapshots, 'snapshots').map(parseVolumeName);
    const held = optional(fields.held, parseVolumeName);
    if (held !== undefined && !snapshots.includes(held)) throw new Error('held is no snapshot');
    return {
      id: parseId(fields.id),
      origin: parseOrigin(fields.origin),
      destination: parseDestinationName(fields.destination),
      begunAt: count(fields.begunAt, 'begunAt'),
      snapshotCount: count(fields.snapshotCount, 'snapshotCount'),
      snapshots,
      held,
      copied: truth(fields.copied, 'copied'),
      begun: truth(fields.begun, 'begun'),
      rounds: count(fields.rounds, 'rounds'),
      bytesPerSecond: optional(fields.bytesPerSecond, parseRate),
      overflows: count(fields.overflows, 'overflows'),
      delivered: optional(fields.delivered, parseDelivered),
    };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new LvmsyncError(
      'STATE_UNUSABLE',
      `the state of the migration in ${path} cannot be used: ${reason}`,
      {
        path,
        hint: 'clean up with lvmsync migrate --abort and begin again, or use the version of lvmsync that wrote it',
        cause,
      },
    );
  }
}

function parseDelivered(value: unknown): Delivered {
  const fields = object(value, 'delivered');
  return {
    at: count(fields.at, 'at'),
    changes: matching(fields.changes, 'changes', /^[0-9a-f]{16}$/),
  };
}

function parseRate(value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  throw new Error('bytesPerSecond is no rate');
}
