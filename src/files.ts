/**
 * What is asked of the file system on the way of every transfer, by promises over the calls of
 * `node:fs` that call back. `node:fs/promises` is for who opens files: to load it, with the
 * directories, watchers and lines that it brings, takes longer than to send a small delta's data.
 */
import { promisify } from 'node:util';

const fs = process.getBuiltinModule('node:fs'); // an import of all of it would be a copy

export const access = promisify(fs.access);
export const appendFile = promisify(fs.appendFile);
export const chown = promisify(fs.chown);
export const lstat = promisify(fs.lstat);
export const mkdir = promisify(fs.mkdir);
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
