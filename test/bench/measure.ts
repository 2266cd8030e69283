/** One run of one contender: how long, how much CPU on each side, how much memory. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { CpuAccount } from './cgroup.js';

export interface Run {
  seconds: number;
  /** Of this side and of the far one, with everything that they started. */
  cpuNear?: number;
  cpuFar?: number;
  /** Of lvmsync itself, where it is the one that runs. */
  rssNear?: number;
  rssFar?: number;
  /**
   * CPU time of the main thread in one turn of the event loop, of either side, in milliseconds: the
   * longest, the 99th percentile, and the longest of those that load code, which are not among them;
   * the longest after the first second, 0 for a run that is shorter. Missing where there are no probes.
   */
  loopMaxMs?: number;
  loopP99Ms?: number;
  loadingMaxMs?: number;
  settledMaxMs?: number;
}

/** What the probe of one side says. */
interface Facts extends Partial<Pick<Run, (typeof TURN_FACTS)[number]>> {
  side: 'near' | 'far';
  maxRssBytes: number;
}
const TURN_FACTS = ['loopMaxMs', 'loopP99Ms', 'loadingMaxMs', 'settledMaxMs'] as const;

export interface MeasureOptions {
  near: CpuAccount | undefined;
  far: CpuAccount | undefined;
  /** Where the probe of either side leaves what it knows. */
  probeDirectory: string;
  /** Set for the command. */
  environment: Record<string, string>;
  /** Seconds after which a run has failed. */
  timeoutSeconds?: number;
}

/** @throws Error when the command fails, with what it said */
export async function measure(argv: readonly string[], options: MeasureOptions): Promise<Run> {
  const { near, far, probeDirectory, environment, timeoutSeconds = 300 } = options;
  rmSync(probeDirectory, { recursive: true, force: true });
  mkdirSync(probeDirectory, { mode: 0o777 });
  const [program = '', ...args] = [...(near?.prefix ?? []), ...argv];
  const [cpuNear, cpuFar] = [near?.seconds(), far?.seconds()];
  const startedAt = performance.now();
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...environment },
  });
  const said: Buffer[] = [];
  child.stderr.on('data', (bytes: Buffer) => said.push(bytes));
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutSeconds * 1000);
  const [status, signal] = await once(child, 'close');
  clearTimeout(timer);
  const seconds = (performance.now() - startedAt) / 1000;
  if (status !== 0) {
    throw new Error(`${argv.join(' ')}: ${signal ?? status}\n${Buffer.concat(said)}`);
  }
  const run: Run = { seconds };
  if (near !== undefined && cpuNear !== undefined) run.cpuNear = near.seconds() - cpuNear;
  if (far !== undefined && cpuFar !== undefined) run.cpuFar = far.seconds() - cpuFar;
  return { ...run, ...readProbes(probeDirectory) };
}

function readProbes(directory: string): Partial<Run> {
  const found: Partial<Run> = {};
  for (const name of readdirSync(directory)) {
    const facts = JSON.parse(readFileSync(join(directory, name), 'utf8')) as Facts;
    found[facts.side === 'near' ? 'rssNear' : 'rssFar'] = facts.maxRssBytes;
    for (const fact of TURN_FACTS) {
      const value = facts[fact];
      if (value !== undefined) found[fact] = Math.max(found[fact] ?? 0, value);
    }
  }
  return found;
}
