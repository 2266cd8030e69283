import { readFileSync, readlinkSync } from 'node:fs';
import { inTurns } from '../extents/turns.js';
import { readdir, readFile } from '../files.js';

/** One line of `/proc/PID/mountinfo`: what is mounted where. */
export interface Mount {
  /** `MAJOR:MINOR` of the file system; `0:N` for one without a device of its own, as btrfs. */
  readonly device: string;
  readonly mountPoint: string;
  /** What was mounted, as the file system tells it: a device path, or anything else. */
  readonly source: string;
  /** The file system itself, not just this mount of it. */
  readonly readOnly: boolean;
}

/** A mount, and the process to look into when it is in another mount namespace than ours. */
export interface VisibleMount extends Mount {
  readonly otherNamespaceOfPid?: number;
}

/** Undoes the octal escapes of space, tab, newline and backslash in a field of a proc file. */
export function unescapeOctal(field: string): string {
  if (!field.includes('\\')) {
    return field;
  }
  // A mount point is bytes: names that are not UTF-8 survive only as the replacement character.
  return field.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

/**
 * Parses a mountinfo file (proc(5)): `ID PARENT MAJ:MIN ROOT MOUNTPOINT OPTIONS [FIELD]... -
 * TYPE SOURCE SUPEROPTIONS`. Lines that do not look like that are left out.
 */
export function parseMountinfo(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split('\n')) {
    const fields = line.split(' ');
    const separator = fields.indexOf('-', 6);
    const [, , device, , mountPoint] = fields;
    if (separator < 0 || mountPoint === undefined || !device?.match(/^\d+:\d+$/)) {
      continue;
    }
    mounts.push({
      device,
      mountPoint: unescapeOctal(mountPoint),
      source: unescapeOctal(fields[separator + 2] ?? ''),
      readOnly: fields[separator + 3]?.split(',').includes('ro') ?? false,
    });
  }
  return mounts;
}

/** Parses `/proc/swaps` (a heading, then `PATH TYPE SIZE USED PRIORITY`) to its paths. */
export function parseSwaps(text: string): string[] {
  return text
    .split('\n')
    .slice(1)
    .map((line) => unescapeOctal(line.split(/[ \t]/, 1)[0] ?? ''))
    .filter((path) => path.startsWith('/'));
}

/**
 * Paths of the devices and files that the kernel swaps to; none where it cannot be asked. Its answer
 * is in memory: by other threads the five calls would take longer than all that comes of them.
 */
export function readSwaps(): string[] {
  try {
    return parseSwaps(readFileSync('/proc/swaps', 'utf8'));
  } catch {
    return [];
  }
}

/**
 * Undefined for a process that has ended meanwhile, and for other users' that are closed to us. By
 * another thread it would take twenty times as long.
 */
function mountNamespaceOf(process: string): string | undefined {
  try {
    return readlinkSync(`/proc/${process}/ns/mnt`);
  } catch {
    return undefined;
  }
}

/**
 * All mounts of this process's mount namespace, then those of every other namespace that has a
 * process we may look into (containers, services with a private /tmp).
 */
export async function readMounts(): Promise<VisibleMount[]> {
  const mounts: VisibleMount[] = parseMountinfo(await readFile('/proc/self/mountinfo', 'utf8'));
  const seen = new Set([mountNamespaceOf('self')]);
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  for await (const name of inTurns(processes)) {
    const namespace = mountNamespaceOf(name);
    if (namespace === undefined || seen.has(namespace)) {
      continue;
    }
    const text = await readFile(`/proc/${name}/mountinfo`, 'utf8').catch(() => undefined);
    if (text !== undefined) {
      seen.add(namespace);
      for (const mount of parseMountinfo(text)) {
        mounts.push({ ...mount, otherNamespaceOfPid: Number(name) });
      }
    }
  }
  return mounts;
}
