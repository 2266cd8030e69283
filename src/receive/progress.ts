/** What a receiver remembers of a transfer that may be interrupted, in a file beside its kind. */
import { removeFile } from '../block/remove-file.js';
import { sha256Hex } from '../checksum/sha256.js';
import { readFile, rename, writeFile } from '../files.js';
import type { SenderHello } from '../stream/messages.js';

export interface Progress {
  /** Tells one transfer from any other: the source, its size and its list of extents. */
  transfer: string;
  /** Its source alone, whose list of changes may have grown since; older ones do not say. */
  source: string | undefined;
  /** The sender's run that got there. */
  run: string;
  /** Nothing below it is missing on the target. */
  durableOffset: number;
}

/** What people are told of it: the name of the file says nothing. */
export interface ProgressTarget {
  path: string;
  sizeBytes: number;
}

/** What an older lvmsync wrote does not name its target. */
export type ToldProgress = Progress & { target: ProgressTarget | undefined };

export interface ProgressFile {
  /** Undefined when there is none, or none that can be read. */
  load(): Promise<ToldProgress | undefined>;
  save(progress: Progress): Promise<void>;
  clear(): Promise<void>;
}

/** Where a program has no place to remember anything. */
export const noProgressFile: ProgressFile = {
  load: async () => undefined,
  save: async () => {},
  clear: async () => {},
};

/** @param target put down with every position */
export function progressFile(path: string, target?: ProgressTarget): ProgressFile {
  return {
    async load() {
      const text = await readFile(path, 'utf8').catch(() => '');
      return parse(text);
    },
    // An older position after a power failure costs time, not data: no flush is needed.
    async save(progress) {
      await writeFile(`${path}.new`, JSON.stringify({ ...progress, target }), { mode: 0o600 });
      await rename(`${path}.new`, path);
    },
    clear: () => removeFile(path),
  };
}

export function transferName({ source }: SenderHello): string {
  return sha256Hex(JSON.stringify(source));
}

function parse(text: string): ToldProgress | undefined {
  try {
    const { transfer, source, run, durableOffset, target } = JSON.parse(text);
    const named = typeof transfer === 'string' && typeof run === 'string';
    if (!named || !Number.isSafeInteger(durableOffset) || durableOffset < 0) return undefined;
    return {
      ...{ transfer, run, durableOffset },
      source: typeof source === 'string' ? source : undefined,
      target: parseTarget(target),
    };
  } catch {
    return undefined;
  }
}

function parseTarget(value: unknown): ProgressTarget | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { path, sizeBytes } = value as Partial<Record<keyof ProgressTarget, unknown>>;
  if (typeof path !== 'string' || !Number.isSafeInteger(sizeBytes)) return undefined;
  return { path, sizeBytes: Number(sizeBytes) };
}
