/** Where the state of a migration is kept: one file for each origin that is being migrated. */
import {
  formatMigrationState,
  type MigrationState,
  parseMigrationState,
} from './migration-state.js';
import { type StateFile, stateFile } from './state-file.js';

export type MigrationFile = StateFile<MigrationState>;

/** @param asked see `stateDirectoryPath`; @param lvUuid the origin's */
export function migrationFile(asked: string | undefined, lvUuid: string): MigrationFile {
  return stateFile(asked, `${lvUuid}.migration`, {
    what: 'migration',
    format: formatMigrationState,
    parse: parseMigrationState,
  });
}
