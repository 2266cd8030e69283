/** Where the state of a migration is kept: one file for each origin that is being migrated. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeDurably, writeDurably } from '../block/durable-file.js';
import { reasonOf } from '../block/errno.js';
import { assertPrivate, makeStateDirectory, stateDirectoryPath } from '../block/state-directory.js';
import { LvmsyncError } from '../errors.js';
import {
  formatMigrationState,
  type MigrationState,
  parseMigrationState,
} from './migration-state.js';

export interface MigrationFile {
  readonly path: string;
  /** Undefined when there is none. @throws LvmsyncError STATE_UNUSABLE, OPEN_FAILED */
  load(): Promise<MigrationState | undefined>;
  /** Durable when it resolves. @throws LvmsyncError STATE_UNUSABLE, OPEN_FAILED */
  save(state: MigrationState): Promise<void>;
  remove(): Promise<void>;
}

/** @param asked see `stateDirectoryPath`; @param lvUuid the origin's */
export function migrationFile(asked: string | undefined, lvUuid: string): MigrationFile {
  const directory = stateDirectoryPath(asked);
  const path = join(directory, `${lvUuid}.migration`);
  return {
    path,
    async load() {
      await assertPrivate(directory);
      const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
        if (cause.code === 'ENOENT') return undefined;
        throw unusable(path, 'read', cause);
      });
      return text === undefined ? undefined : parseMigrationState(text, path);
    },
    async save(state) {
      await makeStateDirectory(directory);
      await writeDurably(path, formatMigrationState(state)).catch((cause) => {
        throw unusable(path, 'written', cause);
      });
    },
    remove: () => removeDurably(path),
  };
}

function unusable(path: string, done: string, cause: unknown): LvmsyncError {
  return new LvmsyncError(
    'STATE_UNUSABLE',
    `the state of the migration cannot be ${done}: ${path}: ${reasonOf(cause).words}`,
    { path, hint: 'make room or name another directory with --state-dir', cause },
  );
}
