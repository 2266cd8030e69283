/**
 * What lvmsync tells a person when it cannot do what was asked: what failed, where, and what to
 * do next. The code is stable, the exit code follows from it, the words may change.
 */

/** Exit codes, one per kind of failure, so that a script can tell them apart. */
export const EXIT = {
  success: 0,
  differencesFound: 1,
  usage: 2,
  refused: 3,
  transport: 4,
  remote: 5,
  io: 6,
  integrity: 7,
  interrupted: 8,
  internal: 70,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Every error code and the exit code it ends a run with. */
export const ERROR_EXIT_CODES = {
  USAGE: EXIT.usage,
  INTERNAL: EXIT.internal,

  // The volume, its snapshot and what device-mapper says of them
  VOLUME_NOT_FOUND: EXIT.refused,
  VOLUME_AMBIGUOUS: EXIT.refused,
  TOOL_MISSING: EXIT.refused,
  TOOL_FAILED: EXIT.refused,
  NOT_A_SNAPSHOT: EXIT.refused,
  SNAPSHOT_UNSUPPORTED: EXIT.refused,
  DATA_SOURCE_UNSUITABLE: EXIT.refused,
  SNAPSHOT_IN_USE: EXIT.refused,
  ORIGIN_UNSUITABLE: EXIT.refused,
  ORIGIN_IN_USE: EXIT.refused,
  SNAPSHOT_INVALID: EXIT.integrity,
  SNAPSHOT_CHANGED: EXIT.integrity,

  // The exception store
  STORE_NOT_A_STORE: EXIT.refused,
  STORE_DAMAGED: EXIT.integrity,

  // Devices and files
  OPEN_FAILED: EXIT.io,
  READ_FAILED: EXIT.io,
  WRITE_FAILED: EXIT.io,
  FLUSH_FAILED: EXIT.io,
  PAST_END: EXIT.integrity,
  ENGINE_UNAVAILABLE: EXIT.refused,

  // The target, before it is touched
  TARGET_UNSUITABLE: EXIT.refused,
  TARGET_IN_USE: EXIT.refused,
  TARGET_TOO_SMALL: EXIT.refused,
  REPLICA_STATE: EXIT.refused,

  // The bytes between sender and receiver
  STREAM_UNKNOWN: EXIT.integrity,
  STREAM_TRUNCATED: EXIT.integrity,
  STREAM_DAMAGED: EXIT.integrity,
  RECEIPT_WRONG: EXIT.integrity,
  TARGET_DIFFERS: EXIT.integrity,
  BASE_MISMATCH: EXIT.refused,

  // The way there
  CONNECT_FAILED: EXIT.transport,
  HOST_KEY_REFUSED: EXIT.transport,
  AUTHENTICATION_FAILED: EXIT.transport,
  TRANSPORT_UNSUPPORTED: EXIT.transport,
  CONNECTION_LOST: EXIT.transport,
  PEER_STALLED: EXIT.transport,
  REMOTE_NOT_STARTED: EXIT.remote,
  REMOTE_FAILED: EXIT.remote,

  // A migration or a replica, which goes on where it is when it is run again
  MIGRATION_UNDER_WAY: EXIT.refused,
  MIGRATION_STALLED: EXIT.refused,
  COMMAND_FAILED: EXIT.refused,
  PAUSE_FAILED: EXIT.refused,
  REPLICA_OTHER: EXIT.refused,
  STATE_UNUSABLE: EXIT.refused,

  // What is asked of a run in flight
  RUN_NOT_FOUND: EXIT.refused,

  INTERRUPTED: EXIT.interrupted,
} as const satisfies Record<string, ExitCode>;

export type ErrorCode = keyof typeof ERROR_EXIT_CODES;

/** Where it failed and what to do about it; all optional. */
export interface ErrorDetails {
  /** The device or file. */
  path?: string;
  /** Byte offset in it. */
  offset?: number;
  /** The system's name for the failure, such as `EIO`. */
  errno?: string;
  /** One sentence: what to do next. */
  hint?: string;
  cause?: unknown;
}

/** The one error class. `message` is one line without a full stop; `hint` is the next step. */
export class LvmsyncError extends Error {
  readonly code: ErrorCode;
  readonly path: string | undefined;
  readonly offset: number | undefined;
  readonly errno: string | undefined;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'LvmsyncError';
    this.code = code;
    this.path = details.path;
    this.offset = details.offset;
    this.errno = details.errno;
    this.hint = details.hint;
  }

  get exitCode(): ExitCode {
    return ERROR_EXIT_CODES[this.code];
  }
}
