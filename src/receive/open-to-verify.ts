import { existsSync } from 'node:fs';
import type { BlockFile } from '../block/engine.js';
import { identify } from '../block/identity.js';
import { acquireLock } from '../block/lock.js';
import { stateDirectoryPath } from '../block/state-directory.js';
import { assertTargetUsable, inspectTarget } from '../block/target.js';
import { LvmsyncError } from '../errors.js';
import { stat } from '../files.js';
import { assertVolumeCanBeMade, type NewVolume } from '../lvm/create-volume.js';
import type { OpenTarget, OpenTargetOptions } from './open-target.js';
import { openTargetState } from './state-directory.js';

export interface OpenToVerifyOptions extends Omit<OpenTargetOptions, 'version'> {
  /** What differs will be written by a later run: refuse what that would refuse. */
  forRepair?: boolean | undefined;
}

/**
 * Opens a target that is only read. It may be mounted or held, which is warned of, unless it is to
 * be repaired.
 *
 * @throws LvmsyncError TARGET_UNSUITABLE, TARGET_IN_USE, TARGET_TOO_SMALL, OPEN_FAILED
 */
export async function openTargetToVerify(options: OpenToVerifyOptions): Promise<BlockFile> {
  const {
    targetPath,
    engine,
    needBytes,
    sourcePaths,
    forRepair = false,
    force,
    onWarning,
  } = options;
  const inspected = await inspectTarget(targetPath, {
    needBytes,
    sourcePaths,
    onlyRead: !forRepair,
  });
  for (const { message } of assertTargetUsable(inspected, {
    force: !forRepair || force === true,
  })) {
    onWarning?.(
      forRepair
        ? `${message} (--force)`
        : `${message}: what is written there meanwhile, or is not written back yet, differs`,
    );
  }
  const id = await identify(targetPath);
  // What another run is writing would differ for a moment. Later runs need not wait for this one.
  const lock = await acquireLock('target', id, targetPath, engine);
  await lock.release();
  await checkPending(id, options);
  return engine.open(targetPath, { mode: 'read', exclusive: forRepair && force !== true });
}

/** Refuses a target as `openTargetForWriting` does, and opens it to be read. @throws the same */
export async function openTargetToRehearse(options: OpenTargetOptions): Promise<OpenTarget> {
  const file = await openTargetToVerify({ ...options, forRepair: true });
  const id = await identify(options.targetPath);
  const state = await openTargetState(stateDirectoryPath(options.stateDirectory), id);
  return { file, id, state, close: file.close };
}

/**
 * Whether a target is fit to be written, without writing it.
 *
 * @param create how it would be made where there is none
 * @returns what it is, or would be
 * @throws LvmsyncError as `openTargetToVerify`, and as `assertVolumeCanBeMade`
 */
export async function inspectForWriting(
  options: OpenTargetOptions,
  create: NewVolume | undefined,
): Promise<{ sizeBytes: number; toBeMade: boolean }> {
  if (create !== undefined && !existsSync(options.targetPath)) {
    await assertVolumeCanBeMade(options.targetPath, create);
    return { sizeBytes: create.sizeBytes, toBeMade: true };
  }
  const file = await openTargetToVerify({ ...options, forRepair: true });
  await file.close();
  return { sizeBytes: file.sizeBytes, toBeMade: false };
}

/** Whoever writes to the target first completes such a run, and then it holds something else. */
async function checkPending(
  id: string,
  { targetPath, stateDirectory, forRepair, onWarning }: OpenToVerifyOptions,
): Promise<void> {
  const { spoolPath } = await openTargetState(stateDirectoryPath(stateDirectory), id);
  if ((await stat(spoolPath).catch(() => undefined)) === undefined) return;
  const message = `a run with --transactional was cut while it changed ${targetPath}`;
  if (!forRepair) return onWarning?.(message);
  throw new LvmsyncError('TARGET_UNSUITABLE', message, {
    path: targetPath,
    hint: 'run that one again first: it completes what it has begun',
  });
}
