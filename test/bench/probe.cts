/**
 * Loaded ahead of a program under measurement (NODE_OPTIONS=--require): leaves what only the
 * process itself can tell in a file of LVMSYNC_BENCH_PROBE.
 */
import fs = require('node:fs');
import Module = require('node:module');
import hooks = require('node:perf_hooks');

/** Of Node, undocumented: every module that is asked for goes through it. */
interface Loader {
  _load(...args: unknown[]): unknown;
}
/** Likewise: the names of Node's own modules, as they are loaded. */
interface LoadedList {
  moduleLoadList: readonly string[];
}

/** By the machine's clock and by the CPU time that it took, in milliseconds. */
export interface LongTurn {
  /** Before the CPU time was read at its beginning, and after it was read at its end. */
  from: number;
  to: number;
  ms: number;
  /** At its beginning and at its end. */
  cores: [number, number];
  /** In a run that is past its beginning. */
  isSettled: boolean;
}

/** Turns of less CPU time are told of by their longest alone. */
const LONG_MS = 3;
/** Behind the name of the program (proc_pid_stat(5)). */
const CORE_FIELD = 36;
/** By then V8 has compiled what is called all the time, and its young generation has grown. */
const SETTLED_SECONDS = 1;

const directory = process.env.LVMSYNC_BENCH_PROBE;
const isProgram = process.argv[1]?.endsWith('/bin/lvmsync');
if (directory !== undefined && isProgram) {
  const turns = lookAtTurns();
  process.on('exit', () => {
    const side = process.argv.includes('--apply') ? 'far' : 'near';
    const maxRssBytes = process.resourceUsage().maxRSS * 1024;
    const facts = JSON.stringify({ side, maxRssBytes, ...turns() });
    fs.writeFileSync(`${directory}/${process.pid}.json`, facts);
  });
}

/** Once a millisecond, which takes some hundredths of the time. @returns what to call at the end */
function lookAtTurns() {
  const loader = Module as unknown as Loader;
  const builtins = (process as unknown as LoadedList).moduleLoadList;
  const load = loader._load;
  let loads = 0;
  loader._load = (...args) => {
    loads++;
    return load.apply(Module, args);
  };
  // The CPU time of a turn of the loop, and not its length: other processes take the core away too.
  const schedstat = fs.openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
  const stat = fs.openSync(`/proc/self/task/${process.pid}/stat`, 'r');
  const line = Buffer.alloc(1024);
  const cpuNanoseconds = () => {
    // Brings that account up to now; it is as old as the last tick of the kernel's otherwise, 4 ms
    // (thread_group_cputime of kernel/sched/cputime.c).
    process.cpuUsage();
    const bytes = fs.readSync(schedstat, line, 0, line.length, 0);
    return Number.parseInt(line.toString('latin1', 0, bytes), 10);
  };
  const core = () => {
    const bytes = fs.readSync(stat, line, 0, line.length, 0);
    const fields = line.toString('latin1', 0, bytes).split(') ')[1]?.split(' ');
    return Number(fields?.[CORE_FIELD]);
  };
  /** Turns that load code are kept apart: they come before there is anything to keep alive. */
  const working = hooks.createHistogram();
  const loading = hooks.createHistogram();
  const longTurns: LongTurn[] = [];
  let shortMaxMs = 0;
  let from = now();
  let before = cpuNanoseconds();
  let coreBefore = core();
  let loadedBefore = 0;
  const timer = setInterval(() => {
    const nextFrom = now();
    const cpu = cpuNanoseconds();
    const coreAfter = core();
    const to = now();
    const loaded = loads + builtins.length;
    const turnNanoseconds = Math.max(1, cpu - before);
    const isWork = loaded === loadedBefore;
    (isWork ? working : loading).record(turnNanoseconds);
    const ms = turnNanoseconds / 1e6;
    if (isWork && ms < LONG_MS) shortMaxMs = Math.max(shortMaxMs, ms);
    else if (isWork)
      longTurns.push({
        from,
        to,
        ms,
        cores: [coreBefore, coreAfter],
        isSettled: process.uptime() > SETTLED_SECONDS,
      });
    before = cpu;
    coreBefore = coreAfter;
    from = nextFrom;
    loadedBefore = loaded;
  }, 1);
  timer.unref();
  return () => ({
    loopP99Ms: working.count === 0 ? 0 : working.percentile(99) / 1e6,
    loadingMaxMs: loading.count === 0 ? 0 : loading.max / 1e6,
    shortMaxMs,
    longTurns,
  });
}

/** Of the clock that all processes have in common (CLOCK_MONOTONIC), in milliseconds. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
