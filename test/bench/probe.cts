/**
 * Loaded ahead of a program under measurement (NODE_OPTIONS=--require): leaves what only the
 * process itself can tell in a file of LVMSYNC_BENCH_PROBE.
 */
import fs = require('node:fs');
import hooks = require('node:perf_hooks');

/** Until then a process loads its code. */
const START_UP_MS = 250;

const directory = process.env.LVMSYNC_BENCH_PROBE;
const isProgram = process.argv[1]?.endsWith('/bin/lvmsync');
if (directory !== undefined && isProgram) {
  // The CPU time of a turn of the loop, and not its length: other processes take the core away too.
  const turns = hooks.createHistogram();
  const schedstat = fs.openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
  const line = Buffer.alloc(64);
  const cpuNanoseconds = () => {
    const bytes = fs.readSync(schedstat, line, 0, line.length, 0);
    return Number.parseInt(line.toString('latin1', 0, bytes), 10);
  };
  let before = cpuNanoseconds();
  const timer = setInterval(() => {
    const now = cpuNanoseconds();
    if (hooks.performance.now() > START_UP_MS) turns.record(Math.max(1, now - before));
    before = now;
  }, 1);
  timer.unref();
  process.on('exit', () => {
    const side = process.argv.includes('--apply') ? 'far' : 'near';
    const facts = {
      side,
      maxRssBytes: process.resourceUsage().maxRSS * 1024,
      loopMaxMs: turns.count === 0 ? 0 : turns.max / 1e6,
      loopP99Ms: turns.count === 0 ? 0 : turns.percentile(99) / 1e6,
    };
    fs.writeFileSync(`${directory}/${process.pid}.json`, JSON.stringify(facts));
  });
}
