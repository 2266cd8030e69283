import type { LvmsyncError } from '../errors.js';
import type { ByteSink, ByteSource } from '../stream/bytes.js';
import type { LinkOpener } from './link.js';

/** How the far side ended: its exit status, the signal that ended it, or why it was lost. */
export interface ChannelEnd {
  status: number | null;
  signal: string | null;
  /** Set when the far side never ran or the way to it broke. */
  error?: LvmsyncError;
}

/** What the far side prints, for one reader. */
export interface Answers extends ByteSource {
  /**
   * Waits until there is something to read, and reads nothing. Resolves to false where nothing will
   * come: it has ended, or was closed.
   *
   * @throws what it failed with
   */
  arrive(): Promise<boolean>;
  /** Drops what comes from here on, so that the far side need not wait for somebody to read it. */
  discard(): void;
}

/**
 * A running receiver, wherever it runs: bytes to its standard input, bytes from its standard
 * output. What it prints on standard error goes to the `onStderr` the channel was opened with.
 */
export interface Channel {
  /** For people: `ssh backup1`, `local`. */
  readonly description: string;
  readonly input: ByteSink;
  readonly answers: Answers;
  /** Settles once, never rejects; all of standard error has been passed on before. */
  readonly end: Promise<ChannelEnd>;
  /** The name or address that was connected to, where that was done directly. */
  readonly host?: string | undefined;
  /** The shortest way there and back so far, in milliseconds, where it can be measured. */
  readonly roundTripMs?: (() => number | undefined) | undefined;
  /** Further links over the same connection; missing where there cannot be any. */
  readonly links?: LinkOpener | undefined;
  /** Makes one more connection to the same host for links; missing where it cannot. */
  openStream?: (() => LinkOpener) | undefined;
  /** Kills the far side as far as this side can. */
  destroy(): void;
}

/** Opens channels to one host over one connection. */
export interface Transport {
  readonly description: string;
  /** Runs `argv` on the far side. @throws LvmsyncError CONNECT_FAILED and its kin */
  open(argv: readonly string[], onStderr: (chunk: Buffer) => void): Promise<Channel>;
  /** Runs a command line of the user's in the far side's shell. @throws as `open` */
  runShell(line: string, onStderr: (chunk: Buffer) => void): Promise<Channel>;
  close(): Promise<void>;
}
