/** Where what must outlive a run is kept: small files in the state directory, replaced as a whole. */
import { join } from 'node:path';
import { removeDurably, writeDurably } from '../block/durable-file.js';
import { reasonOf } from '../block/errno.js';
import { assertPrivate, makeStateDirectory, stateDirectoryPath } from '../block/state-directory.js';
import { LvmsyncError } from '../errors.js';
import { readFile } from '../files.js';

export interface StateFile<State> {
  readonly path: string;
  /** Undefined when there is none. @throws LvmsyncError STATE_UNUSABLE, OPEN_FAILED */
  load(): Promise<State | undefined>;
  /** Durable when it resolves. @throws LvmsyncError STATE_UNUSABLE, OPEN_FAILED */
  save(state: State): Promise<void>;
  remove(): Promise<void>;
}

export interface StateFormat<State> {
  /** Whose state, in words. */
  what: string;
  format(state: State): string;
  /** @throws LvmsyncError STATE_UNUSABLE */
  parse(text: string, path: string): State;
}

/** @param asked see `stateDirectoryPath`; @param name of the file, within the directory */
export function stateFile<State>(
  asked: string | undefined,
  name: string,
  { what, format, parse }: StateFormat<State>,
): StateFile<State> {
  const directory = stateDirectoryPath(asked);
  const path = join(directory, name);
  const unusable = (done: string, cause: unknown): LvmsyncError =>
    new LvmsyncError(
      'STATE_UNUSABLE',
      `the state of the ${what} cannot be ${done}: ${path}: ${reasonOf(cause).words}`,
      { path, hint: 'make room or name another directory with --state-dir', cause },
    );
  return {
    path,
    async load() {
      await assertPrivate(directory);
      const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
        if (cause.code === 'ENOENT') return undefined;
        throw unusable('read', cause);
      });
      return text === undefined ? undefined : parse(text, path);
    },
    async save(state) {
      await makeStateDirectory(directory);
      await writeDurably(path, format(state)).catch((cause) => {
        throw unusable('written', cause);
      });
    },
    remove: () => removeDurably(path),
  };
}
