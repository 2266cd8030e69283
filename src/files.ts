/**
 * What is asked of the file system on the way of every transfer, by promises over the calls of
 * `node:fs` that call back. `node:fs/promises` is for who opens files: to load it, with the
 * directories, watchers and lines that it brings, takes longer than to send a small delta's data.
 */
import { dirname } from 'node:path';
import { promisify } from 'node:util';

const fs = process.getBuiltinModule('node:fs'); // an import of all of it would be a copy

export const access = promisify(fs.access);
export const appendFile = promisify(fs.appendFile);
export const chown = promisify(fs.chown);
export const lstat = promisify(fs.lstat);
export const mkdtemp = promisify(fs.mkdtemp);
export const readdir = promisify(fs.readdir);
export const readFile = promisify(fs.readFile);
/** By the system's own call. */
export const realpath = promisify(fs.realpath.native);
export const rename = promisify(fs.rename);
export const rm = promisify(fs.rm);
export const stat = promisify(fs.stat);
export const unlink = promisify(fs.unlink);
export const writeFile = promisify(fs.writeFile);

/**
 * Makes a directory and those that it is in, where they are not there. Node's `recursive` tries
 * forever where the file system makes none, as /proc.
 */
export function makeDirectories(path: string, mode: number): void {
  try {
    fs.mkdirSync(path, { mode });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EEXIST') return;
    const parent = dirname(path);
    if (code !== 'ENOENT' || fs.existsSync(parent)) throw error;
    makeDirectories(parent, mode);
    makeDirectories(path, mode);
  }
}
