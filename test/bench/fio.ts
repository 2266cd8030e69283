/** What the disk can do: fio, at the same work as a scenario, with nothing in between. */
import type { Contender } from './contenders.js';

/** Of fio's report as JSON. */
interface Report {
  jobs: { read: { runtime: number }; write: { runtime: number } }[];
}

/**
 * Seconds from the first request to the last flush, of all jobs: fio takes a quarter of a second
 * more to start and to end.
 */
export function fioSeconds(report: string): number {
  const { jobs } = JSON.parse(report) as Report;
  return Math.max(...jobs.flatMap(({ read, write }) => [read.runtime, write.runtime])) / 1000;
}

/** Its options for direct requests at a depth. */
export function fioOptions(blockBytes: '4k' | '1m', depth: number): string[] {
  return [
    `--bs=${blockBytes}`,
    `--iodepth=${depth}`,
    '--ioengine=io_uring',
    '--direct=1',
    '--output-format=json',
  ];
}

/** Single chunks anywhere, as many at once as lvmsync has in flight; the same ones in each run. */
const SCATTERED = [...fioOptions('4k', 128), '--randrepeat=1'];

/** The same number of requests of the same size at the same depth. */
export function fioOf(how: 'randread' | 'randwrite'): Contender {
  return {
    name: `fio ${how}`,
    argv: ({ originPath, scratchPath, changedBytes }) =>
      ['fio', '--name=bench', `--rw=${how}`, ...SCATTERED].concat(
        '--end_fsync=1',
        `--io_size=${changedBytes}`,
        `--filename=${how === 'randread' ? originPath : scratchPath}`,
      ),
    ownSeconds: fioSeconds,
    rateOnly: true,
    leavesTarget: true,
  };
}

/** Reads one and writes the other at once, as a transfer does: what the disk allows. */
export function fioBoth(pattern: 'sequential' | 'random'): Contender {
  const isRandom = pattern === 'random';
  const options = isRandom ? SCATTERED : fioOptions('1m', 8);
  const [read, write] = isRandom ? ['randread', 'randwrite'] : ['read', 'write'];
  return {
    name: 'disk alone, fio reads and writes',
    argv: ({ originPath, targetPath, scratchPath, changedBytes }) =>
      ['fio', ...options, `--io_size=${changedBytes}`].concat(
        ['--name=read', `--rw=${read}`, `--filename=${originPath}`],
        ['--name=write', `--rw=${write}`, '--end_fsync=1'],
        `--filename=${isRandom ? scratchPath : targetPath}`,
      ),
    ownSeconds: fioSeconds,
    rateOnly: true,
    leavesTarget: isRandom,
  };
}
