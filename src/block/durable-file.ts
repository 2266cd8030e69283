import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { rename } from '../files.js';
import { removeFile } from './remove-file.js';

const PRIVATE_MODE = 0o600;

/** Replaces a file so that after a power loss it holds either all of the old text or all of this. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(`${path}.new`, 'w', PRIVATE_MODE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncDirectory(dirname(path));
}

/** Removes a file, if it is there, for good. */
export async function removeDurably(path: string): Promise<void> {
  await removeFile(`${path}.new`);
  await removeFile(path);
  await syncDirectory(dirname(path)).catch(() => undefined);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
