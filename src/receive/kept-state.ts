/** What receivers on this machine have kept of transfers to their targets. */
import { join } from 'node:path';
import { directoryNames } from '../block/directory-names.js';
import { identify } from '../block/identity.js';
import { isLocked } from '../block/lock.js';
import { assertPrivate } from '../block/state-directory.js';
import { crc32c } from '../checksum/crc32c.js';
import { readFile, stat } from '../files.js';
import { openFileSource } from '../transport/byte-source.js';
import { createRecordReader } from '../transport/record-reader.js';
import { parseManifest } from './history-manifest.js';
import { progressFile, type ToldProgress } from './progress.js';
import { readHandshake } from './read-handshake.js';
import { readHello } from './transfer.js';

/** A transfer that was begun and has not ended. */
export interface KeptTransfer {
  /** Undefined when an older lvmsync did not put it down. */
  target: ToldProgress['target'];
  durableOffset: number;
  /** In milliseconds since 1970. */
  savedAtMs: number;
  /** Whether a run is writing to the target at this moment; then it may be this one. */
  running: boolean;
}

/** The delta of a run with `--transactional`. */
export interface KeptSpool {
  path: string;
  /** As `identify` gives it. */
  targetId: string;
  bytes: number;
  savedAtMs: number;
  /** Whether it has come whole: the next run that opens the target applies it then. */
  complete: boolean;
  running: boolean;
}

/** A target that is replicated to. */
export interface KeptHistory {
  path: string;
  /** As `identify` gives it; undefined where no snapback is kept that says it. */
  targetId: string | undefined;
  /** When the snapshot was taken that the target equals; undefined while a run is unfinished. */
  holds: string | undefined;
  /** How many older states it can be taken back to. */
  olderStates: number;
}

export interface KeptState {
  transfers: KeptTransfer[];
  spools: KeptSpool[];
  histories: KeptHistory[];
  /** Files that should say something, and what is wrong with them. */
  unreadable: { path: string; reason: string }[];
}

/** @throws LvmsyncError OPEN_FAILED when others can write to the directory; READ_FAILED */
export async function readKeptState(directory: string): Promise<KeptState> {
  await assertPrivate(directory);
  const kept: KeptState = { transfers: [], spools: [], histories: [], unreadable: [] };
  for (const name of await directoryNames(directory)) {
    const path = join(directory, name);
    try {
      if (name.endsWith('.progress')) kept.transfers.push(await readTransfer(path));
      const complete = name.endsWith('.spool');
      if (complete || name.endsWith('.spool.partial')) {
        kept.spools.push(await readSpool(path, complete));
      }
      if (name.endsWith('.history')) {
        const history = await readHistory(path);
        if (history !== undefined) kept.histories.push(history);
      }
    } catch (error) {
      // What has ended meanwhile is no news.
      if ((await stat(path).catch(() => undefined)) === undefined) continue;
      kept.unreadable.push({ path, reason: error instanceof Error ? error.message : `${error}` });
    }
  }
  return kept;
}

async function readTransfer(path: string): Promise<KeptTransfer> {
  const { mtimeMs } = await stat(path);
  const progress = await progressFile(path).load();
  if (progress === undefined) throw new Error('it does not hold what it should');
  const { target, durableOffset } = progress;
  const id = target && (await identify(target.path).catch(() => undefined));
  const running = id !== undefined && (await isLocked('target', id));
  return { target, durableOffset, savedAtMs: Math.floor(mtimeMs), running };
}

async function readSpool(path: string, complete: boolean): Promise<KeptSpool> {
  const { mtimeMs, size } = await stat(path);
  const targetId = await readTargetId(path);
  const running = await isLocked('target', targetId);
  return { path, targetId, bytes: size, savedAtMs: Math.floor(mtimeMs), complete, running };
}

/** Undefined when there is a directory, and no history in it any more. */
async function readHistory(directory: string): Promise<KeptHistory | undefined> {
  const path = join(directory, 'manifest.json');
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined;
    throw cause;
  });
  if (text === undefined) return undefined;
  const { holds, snapbacks, run } = parseManifest(text, path);
  const newest = snapbacks.at(-1)?.file ?? run?.file;
  const targetId = newest && (await readTargetId(join(directory, newest)).catch(() => undefined));
  return { path: directory, targetId, holds, olderStates: snapbacks.length };
}

/** Which target a spool or a snapback is for. */
async function readTargetId(path: string): Promise<string> {
  const source = await openFileSource(path);
  try {
    await readHandshake(source);
    const engine = { crc32c: async (bytes: Buffer, seed?: number) => crc32c(bytes, seed) };
    const hello = await readHello(createRecordReader(source, engine));
    return hello.source.id;
  } finally {
    await source.close();
  }
}
