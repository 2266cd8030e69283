/** One run of one contender: how long, how much CPU on each side, how much memory. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { CpuAccount } from './cgroup.js';
import type { LongTurn } from './probe.cjs';
import { ownMs, type Stall, type StallWatch } from './stalls.js';

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
   * the longest after the first second, 0 where none took 3 ms. Missing where there are no probes.
   */
  loopMaxMs?: number;
  loopP99Ms?: number;
  loadingMaxMs?: number;
  settledMaxMs?: number;
  /** How many of these turns there are in which the core stood still: that time is not theirs. */
  stalledTurns?: number;
}

/** What the probe of one side says. */
interface Facts {
  side: 'near' | 'far';
  maxRssBytes: number;
  loopP99Ms: number;
  loadingMaxMs: number;
  /** The longest of those that took less than 3 ms; the others one by one. */
  shortMaxMs: number;
  longTurns: LongTurn[];
}

export interface MeasureOptions {
  near: CpuAccount | undefined;
  far: CpuAccount | undefined;
  /** Where the probe of either side leaves what it knows. */
  probeDirectory: string;
  /** Set for the command. */
  environment: Record<string, string>;
  stallWatch: StallWatch | undefined;
  /** As a contender's. */
  ownSeconds: ((printed: string) => number) | undefined;
}

/** After which a run has failed. */
const TIMEOUT_MS = 300_000;

/** @throws Error when the command fails, with what it said */
export async function measure(argv: readonly string[], options: MeasureOptions): Promise<Run> {
  const { near, far, probeDirectory, environment, stallWatch, ownSeconds } = options;
  rmSync(probeDirectory, { recursive: true, force: true });
  mkdirSync(probeDirectory, { mode: 0o777 });
  const [program = '', ...args] = [...(near?.prefix ?? []), ...argv];
  const [cpuNear, cpuFar] = [near?.seconds(), far?.seconds()];
  stallWatch?.start();
  const startedAt = performance.now();
  const child = spawn(program, args, {
    stdio: ['ignore', ownSeconds ? 'pipe' : 'ignore', 'pipe'],
    env: { ...process.env, ...environment },
  });
  const printed: Buffer[] = [];
  child.stdout?.on('data', (bytes: Buffer) => printed.push(bytes));
  const said: Buffer[] = [];
  child.stderr?.on('data', (bytes: Buffer) => said.push(bytes));
  const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
  const [status, signal] = await once(child, 'close');
  clearTimeout(timer);
  const wholeSeconds = (performance.now() - startedAt) / 1000;
  if (status !== 0) {
    throw new Error(`${argv.join(' ')}: ${signal ?? status}\n${Buffer.concat(said)}`);
  }
  const seconds = ownSeconds?.(Buffer.concat(printed).toString()) ?? wholeSeconds;
  const run: Run = { seconds };
  if (near !== undefined && cpuNear !== undefined) run.cpuNear = near.seconds() - cpuNear;
  if (far !== undefined && cpuFar !== undefined) run.cpuFar = far.seconds() - cpuFar;
  return { ...run, ...readProbes(probeDirectory, stallWatch?.take() ?? []) };
}

function readProbes(directory: string, stalls: readonly Stall[]): Partial<Run> {
  const found: Partial<Run> = {};
  const atLeast = (fact: keyof Run, value: number) => {
    found[fact] = Math.max(found[fact] ?? 0, value);
  };
  for (const name of readdirSync(directory)) {
    const facts = JSON.parse(readFileSync(join(directory, name), 'utf8')) as Facts;
    found[facts.side === 'near' ? 'rssNear' : 'rssFar'] = facts.maxRssBytes;
    const turns = facts.longTurns.map((turn) => ({ ...turn, ownMs: ownMs(turn, stalls) }));
    atLeast('loopMaxMs', Math.max(facts.shortMaxMs, ...turns.map((turn) => turn.ownMs)));
    atLeast('loopP99Ms', facts.loopP99Ms);
    atLeast('loadingMaxMs', facts.loadingMaxMs);
    const settled = turns.filter(({ isSettled }) => isSettled);
    atLeast('settledMaxMs', Math.max(0, ...settled.map((turn) => turn.ownMs)));
    const stalled = turns.filter((turn) => turn.ownMs < turn.ms);
    found.stalledTurns = (found.stalledTurns ?? 0) + stalled.length;
  }
  return found;
}
