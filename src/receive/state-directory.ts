/**
 * What a receiver keeps in its state directory: spools, how far interrupted transfers got, and the
 * histories of targets that are replicated to. Each target has its own names there, made of its
 * identity.
 */
import { join } from 'node:path';
import { removeFile } from '../block/remove-file.js';
import { assertPrivate, makeStateDirectory } from '../block/state-directory.js';
import { sha256Hex } from '../checksum/sha256.js';

/** The files about one target; none of them need be there. */
export interface TargetState {
  readonly directory: string;
  /** A delta that is complete and may have been applied in part. */
  readonly spoolPath: string;
  /** A delta that was still coming in: of no use. */
  readonly partialSpoolPath: string;
  /** How far an interrupted transfer got. */
  readonly progressPath: string;
  /** A directory: what is known of the states of the target, and snapbacks that lead to them. */
  readonly historyPath: string;
  /** Makes the directory. @throws LvmsyncError OPEN_FAILED */
  prepare(): Promise<void>;
  /** Forgets how far a transfer got: the target is about to hold something else. */
  forgetProgress(): Promise<void>;
}

/**
 * @param targetId as `identify` gives it
 * @throws LvmsyncError OPEN_FAILED when others can write to the directory: what is found in it is
 *   written to devices
 */
export async function openTargetState(directory: string, targetId: string): Promise<TargetState> {
  const name = sha256Hex(targetId).slice(0, 40);
  const path = (kind: string) => join(directory, `${name}.${kind}`);
  const progressPath = path('progress');
  await assertPrivate(directory);
  return {
    directory,
    spoolPath: path('spool'),
    partialSpoolPath: path('spool.partial'),
    progressPath,
    historyPath: path('history'),
    prepare: () => makeStateDirectory(directory),
    forgetProgress: () => removeFile(progressPath),
  };
}
