import { unlink } from '../files.js';

/** Removes a file, if it is there. Node's own `rm` loads what it takes to remove trees. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
