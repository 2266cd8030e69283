import type { BlockFile, Engine } from '../block/engine.js';
import { identify } from '../block/identity.js';
import { acquireLock } from '../block/lock.js';
import { stateDirectoryPath } from '../block/state-directory.js';
import { assertTargetUsable, inspectTarget } from '../block/target.js';
import { completePendingSpool } from './pending-spool.js';
import { openTargetState, type TargetState } from './state-directory.js';

export interface OpenTargetOptions {
  /** A block device or an existing regular file. */
  targetPath: string;
  engine: Engine;
  /** Override the refusals that can be overridden. */
  force?: boolean | undefined;
  /** What the target must hold at least, where it is known beforehand. */
  needBytes?: number | undefined;
  /** Devices that the target must not be. */
  sourcePaths?: readonly string[] | undefined;
  /** See `stateDirectoryPath`. */
  stateDirectory?: string | undefined;
  /** Of this program. */
  version?: string | undefined;
  /** Told what `force` has overridden and what an earlier run has left, a line each. */
  onWarning?: ((line: string) => void) | undefined;
}

/** A target that this process alone writes to. */
export interface OpenTarget {
  readonly file: BlockFile;
  /** As `identify` gives it. */
  readonly id: string;
  readonly state: TargetState;
  close(): Promise<void>;
}

/**
 * Checks the target, locks it, opens it, and completes what an interrupted run has left.
 *
 * @throws LvmsyncError TARGET_UNSUITABLE, TARGET_IN_USE, TARGET_TOO_SMALL (the target is
 *   untouched), and what `completePendingSpool` throws
 */
export async function openTargetForWriting(options: OpenTargetOptions): Promise<OpenTarget> {
  const { targetPath, engine, needBytes, sourcePaths, force = false, onWarning } = options;
  const inspected = await inspectTarget(targetPath, { needBytes, sourcePaths });
  for (const overridden of assertTargetUsable(inspected, { force })) {
    onWarning?.(`${overridden.message} (--force)`);
  }
  const id = await identify(targetPath);
  const state = await openTargetState(stateDirectoryPath(options.stateDirectory), id);
  const lock = await acquireLock('target', id, targetPath, engine);
  let file: BlockFile | undefined;
  try {
    file = await engine.open(targetPath, { mode: 'write', exclusive: !force });
    const { version = '' } = options;
    await completePendingSpool({ target: file, targetId: id, state, engine, version, onWarning });
  } catch (error) {
    await file?.close();
    await lock.release();
    throw error;
  }
  const opened = file;
  return {
    file: opened,
    id,
    state,
    close: () => opened.close().finally(() => lock.release()),
  };
}
