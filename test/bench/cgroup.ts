/**
 * CPU time of a program with everything that it starts, on whatever side of an SSH connection: a
 * control group for each side. The clock of the whole machine would count its other work too.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface CpuAccount {
  /** Words to put before a command, which is then exec'ed within the group. */
  readonly prefix: string[];
  /** Seconds of CPU so far. */
  seconds(): number;
  remove(): Promise<void>;
}

/** Of control groups version 1 and 2: where groups are made, and what holds their time. */
const KINDS = [
  { root: '/sys/fs/cgroup/cpuacct', file: 'cpuacct.usage', parse: (text: string) => +text / 1e9 },
  {
    root: '/sys/fs/cgroup',
    file: 'cpu.stat',
    parse: (text: string) => Number(/usage_usec (\d+)/.exec(text)?.[1]) / 1e6,
  },
];

/** Undefined where groups cannot be made: then CPU is not counted. */
export function openCpuAccount(name: string): CpuAccount | undefined {
  for (const { root, file, parse } of KINDS) {
    const directory = join(root, `lvmsync-bench-${process.pid}-${name}`);
    try {
      if (!existsSync(root)) continue;
      mkdirSync(directory);
      if (!existsSync(join(directory, file))) {
        rmdirSync(directory);
        continue;
      }
    } catch {
      continue;
    }
    const procs = join(directory, 'cgroup.procs');
    return {
      prefix: ['sh', '-c', `echo $$ > ${procs} && exec "$@"`, 'sh'],
      seconds: () => parse(readFileSync(join(directory, file), 'utf8')),
      async remove() {
        // Processes that have just ended may hold it for a moment.
        for (let attempt = 0; attempt < 50; attempt++) {
          try {
            return rmdirSync(directory);
          } catch {
            await delay(100);
          }
        }
      },
    };
  }
  return undefined;
}
