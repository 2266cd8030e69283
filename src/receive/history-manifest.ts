/**
 * What a receiver knows of the states of a target that is replicated to: the time of the one that it
 * holds, and the snapbacks that lead back to older ones. JSON in a file; no I/O here.
 */
import { LvmsyncError } from '../errors.js';

export interface Manifest {
  /** When the snapshot was taken that the target equals. Undefined while a run is unfinished. */
  holds: string | undefined;
  /** Oldest first: each leads from the state behind it (the last one: from `holds`) to its own. */
  snapbacks: readonly KeptSnapback[];
  /** Once it may have begun to write to the target: this lies between two states then. */
  run: UnfinishedRun | undefined;
}

export interface KeptSnapback {
  /** A plain file name. */
  file: string;
  /** The time of the state that it restores. */
  backTo: string;
}

export interface UnfinishedRun {
  /** The state before it; undefined when that was not known. */
  from: string | undefined;
  /** The state after it; undefined when `from` is being restored. */
  to: string | undefined;
  /** The snapback that leads back to `from`; undefined when it has none. */
  file: string | undefined;
}

/** Raised when an older lvmsync could not go on with what is written. */
const VERSION = 1;
export const MAX_KEPT = 1000;
const MAX_TEXT_BYTES = 256 << 10;
const FILE_NAME = /^[1-9]\d{0,8}\.undo$/;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?Z$/;

/**
 * The one form that a time is kept and compared in: `2026-01-31T12:00:00.000Z`. These sort as the
 * times do.
 *
 * @returns undefined for anything but a time of that kind, in UTC
 */
export function stateTime(text: string): string | undefined {
  if (!TIME.test(text)) return undefined;
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) return undefined;
  const canonical = time.toISOString();
  // The 30th of February would be some day of March.
  return canonical.slice(0, 19) === text.slice(0, 19) ? canonical : undefined;
}

export function formatManifest({ holds, snapbacks, run }: Manifest): string {
  return `${JSON.stringify({ version: VERSION, holds, snapbacks, run }, undefined, 2)}\n`;
}

/**
 * @param path for messages
 * @throws LvmsyncError STATE_UNUSABLE
 */
export function parseManifest(text: string, path: string): Manifest {
  try {
    if (text.length > MAX_TEXT_BYTES) throw new Error('it is too long');
    const fields = object(JSON.parse(text), 'it');
    if (fields.version !== VERSION) throw new Error(`its version is ${String(fields.version)}`);
    const manifest: Manifest = {
      holds: optional(fields.holds, (value) => time(value, 'holds')),
      snapbacks: list(fields.snapbacks).map((value) => {
        const { file, backTo } = object(value, 'a snapback');
        return { file: fileName(file), backTo: time(backTo, 'backTo') };
      }),
      run: optional(fields.run, unfinishedRun),
    };
    assertConsistent(manifest);
    return manifest;
  } catch (cause) {
    throw unusableHistory(path, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** @param path the file that is the reason */
export function unusableHistory(path: string, reason: string, cause?: unknown): LvmsyncError {
  return new LvmsyncError(
    'STATE_UNUSABLE',
    `the history of the target in ${path} cannot be used: ${reason}`,
    {
      path,
      hint: 'use the version of lvmsync that wrote it, or begin a new history: remove the directory that the file is in, and copy the whole volume',
      cause,
    },
  );
}

function assertConsistent({ holds, snapbacks, run }: Manifest): void {
  if ((holds === undefined) === (run === undefined)) {
    throw new Error('it does not say what the target holds, or says it twice');
  }
  const newest = holds ?? run?.from;
  const isReachable = holds !== undefined || run?.file !== undefined;
  if (run?.file !== undefined && run.from === undefined)
    throw new Error('a snapback leads nowhere');
  if (snapbacks.length > 0 && !isReachable) throw new Error('its snapbacks lead nowhere');
  const files = [
    ...snapbacks.map(({ file }) => file),
    ...(run?.file === undefined ? [] : [run.file]),
  ];
  if (new Set(files).size !== files.length) throw new Error('a snapback is listed twice');
  const times = [...snapbacks.map(({ backTo }) => backTo), newest ?? ''];
  if (times.some((later, i) => i > 0 && later <= times[i - 1]!)) {
    throw new Error('its times do not ascend');
  }
}

type Fields = Record<string, unknown>;

function unfinishedRun(value: unknown): UnfinishedRun {
  const { from, to, file } = object(value, 'run');
  return {
    from: optional(from, (text) => time(text, 'from')),
    to: optional(to, (text) => time(text, 'to')),
    file: optional(file, fileName),
  };
}

function optional<T>(value: unknown, read: (value: unknown) => T): T | undefined {
  return value === undefined ? undefined : read(value);
}

function object(value: unknown, name: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new Error(`${name} is no object`);
}

function list(value: unknown): unknown[] {
  if (Array.isArray(value) && value.length <= MAX_KEPT) return value;
  throw new Error('its snapbacks are no list, or a long one');
}

function time(value: unknown, name: string): string {
  if (typeof value === 'string' && stateTime(value) === value) return value;
  throw new Error(`${name} is no time`);
}

function fileName(value: unknown): string {
  if (typeof value === 'string' && FILE_NAME.test(value)) return value;
  throw new Error('a snapback has no proper name');
}
