/** What a migration must not forget when it is killed, as JSON in a file of the state directory. */
import { LvmsyncError } from '../errors.js';

export interface MigrationState {
  /** Eight hexadecimal digits, in the names and the tag of its snapshots. */
  id: string;
  origin: { name: string; vgUuid: string; lvUuid: string };
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
const MAX_TEXT_BYTES = 64 * 1024;
const MAX_SNAPSHOTS = 64;
const MAX_WORD = 4096;

/** `lvmsync.migrate.ID`: an LVM tag, which tells its snapshots from anybody else's. */
export const TAG_PREFIX = 'lvmsync.migrate.';

export function tagOf({ id }: Pick<MigrationState, 'id'>): string {
  return `${TAG_PREFIX}${id}`;
}

export function formatMigrationState(state: MigrationState): string {
  return `${JSON.stringify({ version: VERSION, ...state }, undefined, 2)}\n`;
}

type Fields = Record<string, unknown>;

/**
 * @param path for messages
 * @throws LvmsyncError STATE_UNUSABLE
 */
export function parseMigrationState(text: string, path: string): MigrationState {
  try {
    if (text.length > MAX_TEXT_BYTES) throw new Error('it is too long');
    const fields = object(JSON.parse(text), 'it');
    if (fields.version !== VERSION) throw new Error(`its version is ${String(fields.version)}`);
    const origin = object(fields.origin, 'origin');
    const snapshots = list(fields.snapshots, 'snapshots').map((name) => volumeName(name));
    const held = fields.held === undefined ? undefined : volumeName(fields.held);
    if (held !== undefined && !snapshots.includes(held)) throw new Error('held is no snapshot');
    return {
      id: matching(fields.id, 'id', /^[0-9a-f]{8}$/),
      origin: {
        name: matching(origin.name, 'name', /^[A-Za-z0-9_.+/-]+$/),
        vgUuid: matching(origin.vgUuid, 'vgUuid', UUID),
        lvUuid: matching(origin.lvUuid, 'lvUuid', UUID),
      },
      destination: matching(fields.destination, 'destination', /./s),
      begunAt: count(fields.begunAt, 'begunAt'),
      snapshotCount: count(fields.snapshotCount, 'snapshotCount'),
      snapshots,
      held,
      copied: truth(fields.copied, 'copied'),
      begun: truth(fields.begun, 'begun'),
      rounds: count(fields.rounds, 'rounds'),
      bytesPerSecond: rate(fields.bytesPerSecond),
      overflows: count(fields.overflows, 'overflows'),
      delivered: delivered(fields.delivered),
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

const UUID = /^[0-9A-Za-z-]{38}$/;

function delivered(value: unknown): Delivered | undefined {
  if (value === undefined) return undefined;
  const fields = object(value, 'delivered');
  return {
    at: count(fields.at, 'at'),
    changes: matching(fields.changes, 'changes', /^[0-9a-f]{16}$/),
  };
}

function object(value: unknown, name: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new Error(`${name} is no object`);
}

function list(value: unknown, name: string): unknown[] {
  if (Array.isArray(value) && value.length <= MAX_SNAPSHOTS) return value;
  throw new Error(`${name} is no list, or a long one`);
}

function matching(value: unknown, name: string, pattern: RegExp): string {
  if (typeof value === 'string' && value.length <= MAX_WORD && pattern.test(value)) return value;
  throw new Error(`${name} is not what it should be`);
}

function volumeName(value: unknown): string {
  return matching(value, 'a snapshot', /^[A-Za-z0-9_.+][A-Za-z0-9_.+-]{0,126}$/);
}

function count(value: unknown, name: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`${name} is no count`);
}

function truth(value: unknown, name: string): boolean {
  if (typeof value === 'boolean') return value;
  throw new Error(`${name} is neither true nor false`);
}

function rate(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  throw new Error('bytesPerSecond is no rate');
}
