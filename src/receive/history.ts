/**
 * The history of a target on disk: a directory with the manifest and the snapbacks that it lists. The
 * manifest is replaced as a whole, and always says what the target and the snapbacks are good for,
 * whenever a run is cut: what it names is durable before, what it no longer names is removed after.
 * For whoever has the lock of the target alone.
 */
import { dirname, join } from 'node:path';
import { directoryNames } from '../block/directory-names.js';
import { writeDurably } from '../block/durable-file.js';
import type { Engine } from '../block/engine.js';
import { reasonOf } from '../block/errno.js';
import { removeFile } from '../block/remove-file.js';
import { LvmsyncError } from '../errors.js';
import { makeDirectories, readFile, realpath } from '../files.js';
import { syncDirectory } from './append-file.js';
import {
  formatManifest,
  type Manifest,
  parseManifest,
  unusableHistory,
} from './history-manifest.js';
import type { OpenTarget } from './open-target.js';
import { restoreLog } from './restore-log.js';
import type { TargetState } from './state-directory.js';
import { readUndoLog } from './undo-log-reader.js';

const PRIVATE_MODE = 0o700;
const SNAPBACK_NAME = /^(\d{1,9})\.undo$/;

const manifestPath = (state: TargetState) => join(state.historyPath, 'manifest.json');

export function snapbackPath(state: TargetState, file: string): string {
  return join(state.historyPath, file);
}

/** Undefined when nothing is known. @throws LvmsyncError STATE_UNUSABLE, READ_FAILED */
export async function readManifest(state: TargetState): Promise<Manifest | undefined> {
  const path = manifestPath(state);
  try {
    return parseManifest(await readFile(path, 'utf8'), path);
  } catch (cause) {
    if (cause instanceof LvmsyncError) throw cause;
    const { words, errno } = reasonOf(cause);
    if (errno === 'ENOENT') return undefined;
    throw new LvmsyncError('READ_FAILED', `cannot read ${path}: ${words}`, {
      path,
      ...(errno !== undefined && { errno }),
      cause,
    });
  }
}

/** Replaces the manifest, and removes the snapbacks that are in it no more. */
export async function writeManifest(state: TargetState, manifest: Manifest): Promise<Manifest> {
  await writing(state, () => writeDurably(manifestPath(state), formatManifest(manifest)));
  const { snapbacks, run } = manifest;
  const listed = new Set([...snapbacks.map(({ file }) => file), run?.file]);
  await removeSnapbacks(state, (file) => !listed.has(file));
  return manifest;
}

/** Forgets all there is. */
export async function dropHistory(state: TargetState): Promise<void> {
  await writing(state, async () => {
    await removeFile(manifestPath(state));
    await syncDirectory(state.historyPath);
  });
  await removeSnapbacks(state, () => true);
}

/**
 * A snapback of the history is for `rollbackTo`: used by itself it would end the history, and be
 * removed with it.
 *
 * @throws LvmsyncError USAGE
 */
export async function assertNotOfHistory(state: TargetState, path: string): Promise<void> {
  const directory = await realpath(state.historyPath).catch(() => undefined);
  const place = await realpath(path).catch(() => undefined);
  if (directory === undefined || place === undefined || dirname(place) !== directory) return;
  throw new LvmsyncError('USAGE', `${path} is a part of the history of the target`, {
    path,
    hint: 'lvmsync rollback --list shows the states that there are, lvmsync rollback --to TIME goes back to one',
  });
}

/** Whether there is anything to forget, readable or not. */
export async function hasHistory(state: TargetState): Promise<boolean> {
  return (await directoryNames(state.historyPath)).includes('manifest.json');
}

/** A name that no snapback there has. The directory is made where there is none. */
export async function newSnapbackName(state: TargetState): Promise<string> {
  await state.prepare();
  await writing(state, async () => {
    makeDirectories(state.historyPath, PRIVATE_MODE);
    await syncDirectory(state.directory);
  });
  const numbers = (await directoryNames(state.historyPath)).map((name) =>
    Number(SNAPBACK_NAME.exec(name)?.[1] ?? 0),
  );
  return `${Math.max(0, ...numbers) + 1}.undo`;
}

/**
 * Reads the manifest. A run whose snapback has its end was complete but for saying so: that is made
 * up for.
 */
export async function settledManifest(
  state: TargetState,
  engine: Engine,
): Promise<Manifest | undefined> {
  const manifest = await readManifest(state);
  const { run } = manifest ?? {};
  if (manifest === undefined || run?.file === undefined || run.to === undefined) return manifest;
  const path = snapbackPath(state, run.file);
  const log = await readUndoLog(path, engine).catch((cause: Error) => {
    throw unusableHistory(path, cause.message, cause);
  });
  if (log === undefined) throw unusableHistory(path, 'it is no snapback');
  return log.ended ? writeManifest(state, completed(manifest)) : manifest;
}

/** What is known once the unfinished run has come to its end. */
export function completed({ snapbacks, run }: Manifest, keep = Number.POSITIVE_INFINITY): Manifest {
  const { from, to, file } = run ?? {};
  const made =
    file === undefined || from === undefined || from === to ? [] : [{ file, backTo: from }];
  const all = [...snapbacks, ...made];
  return { holds: to, snapbacks: all.slice(Math.max(0, all.length - keep)), run: undefined };
}

export interface TakeBackOptions {
  engine: Engine;
  force?: boolean | undefined;
  signal?: AbortSignal | undefined;
  onWarning?: ((line: string) => void) | undefined;
}

/**
 * Restores what the target held before the unfinished run, which has a snapback.
 *
 * @throws LvmsyncError as `restoreLog`
 */
export async function takeBack(
  target: Pick<OpenTarget, 'file' | 'id' | 'state'>,
  { snapbacks, run }: Manifest,
  options: TakeBackOptions,
): Promise<{ manifest: Manifest; restoredBytes: number }> {
  const { state } = target;
  const path = snapbackPath(state, run?.file ?? '');
  const { dataBytes } = await restoreLog(target, { ...options, snapbackPath: path });
  const manifest = await writeManifest(state, { holds: run?.from, snapbacks, run: undefined });
  return { manifest, restoredBytes: dataBytes };
}

async function removeSnapbacks(
  state: TargetState,
  isSuperfluous: (file: string) => boolean,
): Promise<void> {
  for (const name of await directoryNames(state.historyPath)) {
    if (!SNAPBACK_NAME.test(name) || !isSuperfluous(name)) continue;
    await writing(state, () => removeFile(snapbackPath(state, name)));
  }
}

async function writing<T>({ historyPath }: TargetState, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    const { words, errno } = reasonOf(cause);
    throw new LvmsyncError('WRITE_FAILED', `cannot write in ${historyPath}: ${words}`, {
      path: historyPath,
      ...(errno !== undefined && { errno }),
      hint: 'free some space there, or move the state directory to where there is some',
      cause,
    });
  }
}
