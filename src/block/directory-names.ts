import { LvmsyncError } from '../errors.js';
import { readdir } from '../files.js';

/** Names in a directory, sorted; none where there is no such directory. @throws LvmsyncError READ_FAILED */
export async function directoryNames(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (cause) {
    const errno = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    if (errno === 'ENOENT') return [];
    throw new LvmsyncError('READ_FAILED', `cannot list ${path}: ${errno}`, { path, errno, cause });
  }
}
