/** Where a map is drawn: on this terminal, or in a file. */
import { Option } from 'commander';
import { stat, writeFile } from '../files.js';
import { LvmsyncError, reasonOf, type TerminalLook } from '../index.js';

const DEFAULT_WIDTH = 80;

export const mapOption = () =>
  new Option('--map', 'draw the volume, and where what is listed lies').conflicts('json');
export const jsonOption = () => new Option('--json', 'one line of JSON instead of text');

/**
 * What standard output can show. Without a terminal: 80 columns (or $COLUMNS) and no escape codes.
 * $NO_COLOR (no-color.org) turns colours off; blocks need a UTF-8 locale.
 */
export function terminalLook(
  output: { isTTY?: boolean; columns?: number },
  { COLUMNS, NO_COLOR, TERM, LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv,
): TerminalLook {
  const isTerminal = output.isTTY === true;
  const asked = /^[1-9]\d{0,3}$/.test(COLUMNS ?? '') ? Number(COLUMNS) : DEFAULT_WIDTH;
  return {
    width: (isTerminal && output.columns) || asked,
    color: isTerminal && !NO_COLOR && TERM !== 'dumb',
    unicode: /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || ''),
  };
}

/** @throws LvmsyncError WRITE_FAILED, also for what is no regular file: it may be a volume */
export async function writePicture(path: string, picture: string): Promise<void> {
  const stats = await stat(path).catch(() => undefined);
  if (stats !== undefined && !stats.isFile()) throw unwritable(path, 'it is no regular file');
  await writeFile(path, picture).catch((cause: NodeJS.ErrnoException) => {
    throw unwritable(path, reasonOf(cause).words, cause);
  });
}

function unwritable(path: string, reason: string, cause?: unknown): LvmsyncError {
  return new LvmsyncError('WRITE_FAILED', `cannot write the picture ${path}: ${reason}`, {
    path,
    hint: 'name another file for it',
    ...(cause !== undefined && { cause }),
  });
}
