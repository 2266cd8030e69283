/** What a receiver remembers of a transfer that may be interrupted, in a file beside its kind. */
import { createHash } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { SenderHello } from '../stream/messages.js';

export interface Progress {
  /** Tells one transfer from any other: the source, its size and its list of extents. */
  transfer: string;
  /** The sender's run that got there. */
  run: string;
  /** Nothing below it is missing on the target. */
  durableOffset: number;
}

export interface ProgressFile {
  /** Undefined when there is none, or none that can be read. */
  load(): Promise<Progress | undefined>;
  save(progress: Progress): Promise<void>;
  clear(): Promise<void>;
}

/** Where a program has no place to remember anything. */
export const noProgressFile: ProgressFile = {
  load: async () => undefined,
  save: async () => {},
  clear: async () => {},
};

export function progressFile(path: string): ProgressFile {
  return {
    async load() {
      const text = await readFile(path, 'utf8').catch(() => '');
      return parse(text);
    },
    // An older position after a power failure costs time, not data: no flush is needed.
    async save(progress) {
      await writeFile(`${path}.new`, JSON.stringify(progress), { mode: 0o600 });
      await rename(`${path}.new`, path);
    },
    clear: () => rm(path, { force: true }),
  };
}

export function transferName({ source }: SenderHello): string {
  return createHash('sha256').update(JSON.stringify(source)).digest('hex');
}

function parse(text: string): Progress | undefined {
  try {
    const { transfer, run, durableOffset } = JSON.parse(text);
    const named = typeof transfer === 'string' && typeof run === 'string';
    if (!named || !Number.isSafeInteger(durableOffset) || durableOffset < 0) return undefined;
    return { transfer, run, durableOffset };
  } catch {
    return undefined;
  }
}
