/**
 * Loaded ahead of a program under measurement (NODE_OPTIONS=--require): leaves what only the
 * process itself can tell in a file of LVMSYNC_BENCH_PROBE.
 */
import fs = require('node:fs');
import hooks = require('node:perf_hooks');

const directory = process.env.LVMSYNC_BENCH_PROBE;
const isProgram = process.argv[1]?.endsWith('/bin/lvmsync');
if (directory !== undefined && isProgram) {
  const delay = hooks.monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  process.on('exit', () => {
    const side = process.argv.includes('--apply') ? 'far' : 'near';
    const facts = {
      side,
      maxRssBytes: process.resourceUsage().maxRSS * 1024,
      loopMaxMs: delay.max / 1e6,
      loopP99Ms: delay.percentile(99) / 1e6,
    };
    fs.writeFileSync(`${directory}/${process.pid}.json`, JSON.stringify(facts));
  });
}
