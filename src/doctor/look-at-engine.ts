/** What does the block I/O here, and why not something faster. */
import type { LoadedEngine } from '../block/engines.js';
import { readFile } from '../files.js';
import { type Finding, ok, warning } from './finding.js';

const URING_SWITCH = '/proc/sys/kernel/io_uring_disabled';

export async function lookAtEngine({ engine, note }: LoadedEngine): Promise<Finding> {
  const { name, backend } = engine;
  if (name === 'js') {
    const why = note ?? 'the js engine was asked for';
    return warning('engine', `js, the slower one: ${why}`, note && 'npm install -g lvmsync');
  }
  if (backend === 'io_uring') return ok('engine', 'native, io_uring');
  const text = `native, threads: ${note ?? 'io_uring was not asked for'}`;
  const disabled = (await readFile(URING_SWITCH, 'utf8').catch(() => '0')).trim() !== '0';
  // Threads are nearly as fast: nothing need be done.
  return disabled
    ? warning('engine', text, 'sysctl kernel.io_uring_disabled=0')
    : ok('engine', text);
}
