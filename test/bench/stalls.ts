/**
 * Moments at which the whole machine stood still: a virtual one is stopped by its host, for tens of
 * milliseconds where that keeps to a quota, and is not told. Who looks at the clock all the time, at
 * real-time priority, on a core of its own, misses them, and nothing else.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

/** From and to, in milliseconds of the machine's own clock (CLOCK_MONOTONIC). */
export interface Stall {
  from: number;
  to: number;
}

export interface StallWatch {
  /** Those since the last call. */
  take(): Stall[];
  stop(): void;
}

const WAIT_MS = 2;
/** A wait that took so much longer was a stop. */
const MISSED_MS = 2;

/** Undefined where that takes more rights than there are, or other tools. */
export async function watchForStalls(): Promise<StallWatch | undefined> {
  const cores = [...new Set([0, cpus().length - 1])];
  const script = fileURLToPath(import.meta.url);
  const missed: Stall[][] = cores.map(() => []);
  const watchers = cores.map((core, index) => {
    const argv = ['chrt', '--fifo', '50', 'taskset', '--cpu-list', `${core}`, process.execPath];
    return startWatcher([...argv, script, '--watch'], (stall) => missed[index]!.push(stall));
  });
  const started = await Promise.all(watchers.map(({ isWatching }) => isWatching));
  const stop = () => {
    for (const { child } of watchers) child.kill();
  };
  if (started.includes(false)) {
    stop();
    return undefined;
  }
  return {
    take() {
      const taken = missed.map((stalls) => stalls.splice(0));
      return taken.reduce((all, stalls) => commonParts(all, stalls));
    },
    stop,
  };
}

/** What both lists have in common. */
function commonParts(some: readonly Stall[], others: readonly Stall[]): Stall[] {
  return some
    .flatMap(({ from, to }) =>
      others.map((other) => ({ from: Math.max(from, other.from), to: Math.min(to, other.to) })),
    )
    .filter(({ from, to }) => from < to);
}

/** Its first line says that it watches, each further one where it has missed the clock. */
function startWatcher(argv: readonly string[], onStall: (stall: Stall) => void) {
  const [program = '', ...args] = argv;
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  let rest = '';
  const isWatching = new Promise<boolean>((resolve) => {
    child.once('error', () => resolve(false));
    child.once('exit', () => resolve(false));
    child.stdout?.on('data', (bytes: Buffer) => {
      resolve(true);
      const lines = (rest + bytes.toString('latin1')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const [from, to] = line.split(' ').map(Number);
        if (from !== undefined && to !== undefined) onStall({ from, to });
      }
    });
  });
  child.unref();
  return { child, isWatching };
}

/** Until who started it is no more. */
function watch(): void {
  const parent = process.ppid;
  const nothing = new Int32Array(new SharedArrayBuffer(4));
  const now = () => Number(process.hrtime.bigint()) / 1e6;
  writeSync(1, 'watching\n');
  for (let before = now(); process.ppid === parent; ) {
    Atomics.wait(nothing, 0, 0, WAIT_MS);
    const after = now();
    if (after - before > WAIT_MS + MISSED_MS) writeSync(1, `${before + WAIT_MS} ${after}\n`);
    before = after;
  }
}

if (process.argv[2] === '--watch') watch();
