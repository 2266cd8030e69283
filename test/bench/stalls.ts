/**
 * Moments at which a core stood still: the host of a virtual machine takes one away for some
 * milliseconds, all of them for tens where it keeps to a quota, and the machine is not told. No
 * interrupt is served meanwhile, and that shows: a process on each core sleeps for a millisecond at
 * a time, and the kernel traces when each of its timers was due and when it came. A core that is
 * busy, with a program or in the kernel, serves it in time.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmdirSync, writeFileSync, writeSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeDirectories } from '#lvmsync/files.js';
import type { LongTurn } from './probe.cjs';

/** From and to, in milliseconds of the machine's own clock (CLOCK_MONOTONIC). */
export interface Stall {
  core: number;
  from: number;
  to: number;
}

export interface StallWatch {
  start(): void;
  /** Ends what `start` began. @returns what there was in between */
  take(): Stall[];
  close(): void;
}

const SLEEP_MS = 1;
/** An interrupt that came so much later than it was due. */
const LATE_MS = 1;
/** Each takes a process. */
const MAX_CORES = 8;

/** Of the kernel's tracing, Documentation/trace/ftrace.rst. */
const TRACE = '/sys/kernel/tracing/instances/lvmsync-bench';
const TIMER_EVENTS = ['hrtimer_start', 'hrtimer_expire_entry'].map((name) => `timer/${name}`);
/** For a minute or so, of each core. */
const TRACE_KIB = 16 * 1024;
const TIMER_LINE =
  /\[(\d+)\] .* (\d+\.\d+): hrtimer_(start|expire_entry): hrtimer=(\S+) function=hrtimer_wakeup (?:expires|now)=(\d+)/;

/** Undefined where that takes more rights than there are, or other tools. */
export async function watchForStalls(): Promise<StallWatch | undefined> {
  const sleepers = cpus()
    .slice(0, MAX_CORES)
    .map((_, core) => startSleeper(core));
  const signal = (name: NodeJS.Signals) => {
    for (const sleeper of sleepers) sleeper.kill(name);
  };
  const close = () => {
    signal('SIGKILL');
    endTrace();
  };
  const started = await Promise.all(sleepers.map(isAsleep));
  try {
    if (started.includes(false)) throw new Error('not all of them sleep');
    prepareTrace(sleepers.map(({ pid }) => pid ?? 0));
    signal('SIGSTOP');
  } catch {
    close();
    return undefined;
  }
  return {
    start() {
      setTrace('trace', '');
      setTrace('tracing_on', '1');
      signal('SIGCONT');
    },
    take() {
      signal('SIGSTOP');
      setTrace('tracing_on', '0');
      return stallsIn(readFileSync(join(TRACE, 'trace'), 'latin1'));
    },
    close,
  };
}

/** The stalls of which a trace tells: of the timers that are started in it. */
export function stallsIn(trace: string): Stall[] {
  const dueAt = new Map<string, number>();
  const stalls: Stall[] = [];
  for (const line of trace.split('\n')) {
    const [, core, seconds, event, timer = '', nanoseconds] = TIMER_LINE.exec(line) ?? [];
    if (event === 'start') {
      dueAt.set(timer, Number(nanoseconds));
    } else if (event !== undefined) {
      const lateMs = (Number(nanoseconds) - (dueAt.get(timer) ?? Number.NaN)) / 1e6;
      dueAt.delete(timer);
      const to = Number(seconds) * 1000;
      if (lateMs > LATE_MS) stalls.push({ core: Number(core), from: to - lateMs, to });
    }
  }
  return stalls;
}

/**
 * What a turn took without the time in which its cores stood still, which the kernel counts as CPU
 * time, too. On which of them the thread was meanwhile is not known: what both lost at once is left
 * out once.
 */
export function ownMs({ from, to, ms, cores }: LongTurn, stalls: readonly Stall[]): number {
  const ofCores = stalls
    .filter((stall) => cores.includes(stall.core))
    .sort((one, other) => one.from - other.from);
  let lostMs = 0;
  let seenTo = from;
  for (const stall of ofCores) {
    const end = Math.min(stall.to, to);
    lostMs += Math.max(0, end - Math.max(stall.from, seenTo));
    seenTo = Math.max(seenTo, end);
  }
  return Math.max(0, ms - lostMs);
}

/** Of the timers that `pids` start, and of all that come. */
function prepareTrace(pids: readonly number[]): void {
  makeDirectories(TRACE, 0o700);
  setTrace('tracing_on', '0');
  setTrace('trace_clock', 'mono');
  setTrace('buffer_size_kb', `${TRACE_KIB}`);
  const ofPids = pids.map((pid) => `common_pid == ${pid}`).join(' || ');
  setTrace('events/timer/hrtimer_start/filter', ofPids);
  for (const event of TIMER_EVENTS) setTrace(`events/${event}/enable`, '1');
}

function setTrace(name: string, value: string): void {
  writeFileSync(join(TRACE, name), value);
}

function endTrace(): void {
  try {
    rmdirSync(TRACE);
  } catch {
    // It was never there.
  }
}

/** At real-time priority, so that it sleeps again at once. */
function startSleeper(core: number): ChildProcess {
  const script = fileURLToPath(import.meta.url);
  const pinned = ['--fifo', '50', 'taskset', '--cpu-list', `${core}`, process.execPath];
  const child = spawn('chrt', [...pinned, script, '--sleep'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  child.unref();
  return child;
}

async function isAsleep(sleeper: ChildProcess): Promise<boolean> {
  const said = sleeper.stdout === null ? [] : [once(sleeper.stdout, 'data')];
  const ends = ['error', 'exit'].map((event) => once(sleeper, event).then(() => false));
  return Promise.race([...said.map((word) => word.then(() => true)), ...ends]).catch(() => false);
}

/** Until who started it is no more. */
function sleep(): void {
  const parent = process.ppid;
  const nothing = new Int32Array(new SharedArrayBuffer(4));
  writeSync(1, 'asleep\n');
  while (process.ppid === parent) Atomics.wait(nothing, 0, 0, SLEEP_MS);
}

if (process.argv[2] === '--sleep') sleep();
