/** The bench: see docs/performance.md, and `npm run bench -- --help`. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runCommand } from '../support/command.js';
import { type DelayProxy, startDelayProxy } from '../support/delay-proxy.js';
import { lvmsync as runLvmsync } from '../support/lvmsync.js';
import { startSshd, type TestSshd } from '../support/sshd.js';
import { barsOf } from './bars.js';
import { type CpuAccount, openCpuAccount } from './cgroup.js';
import { chartOf } from './chart.js';
import { type Contender, type FarSide, peer } from './contenders.js';
import { measure } from './measure.js';
import { METADATA, measureMetadata, metadataBytes } from './metadata.js';
import {
  machineFacts,
  type Results,
  readResults,
  type ScenarioResult,
  slowerThan,
  tableOf,
  timeOf,
} from './results.js';
import { SCENARIOS, type Scenario } from './scenarios.js';
import { type StallWatch, watchForStalls } from './stalls.js';
import { slowOnes, type Taking, whyNot } from './taking-part.js';
import { createVolume, neededBytes } from './volume.js';

const HELP = `npm run bench -- [options]

  --quick             an eighth of the data, two rounds
  --scale NUMBER      this part of the data (default 1)
  --rounds NUMBER     how often each contender runs, in turn with the others (default 3)
  --only REGEX        these scenarios, or scenario/contender
  --list              what there is
  --dir DIRECTORY     where the volumes are made: a disk (default the temporary directory)
  --peer NAME=COMMAND one more contender over SSH; {source} {store} {target} {host} {config}
  --json FILE         all timings
  --markdown FILE     the tables, between its two "bench" marks if it has them
  --svg FILE          a chart
  --compare FILE      print what got slower since that JSON; exit status 1 if anything did
`;

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    scale: { type: 'string' },
    rounds: { type: 'string' },
    only: { type: 'string' },
    list: { type: 'boolean', default: false },
    dir: { type: 'string', default: tmpdir() },
    peer: { type: 'string', multiple: true, default: [] },
    json: { type: 'string' },
    markdown: { type: 'string' },
    svg: { type: 'string' },
    compare: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const TMPFS_MAGIC = 0x01021994;
/** Left free on the disk. */
const RESERVE_BYTES = 1 << 30;
const BEGIN = '<!-- bench: begin -->';
const END = '<!-- bench: end -->';

const say = (line: string) => process.stderr.write(`${line}\n`);

const scaleOf = () => Number(options.scale ?? (options.quick ? 0.125 : 1));
const roundsOf = () => Number(options.rounds ?? (options.quick ? 2 : 3));

interface Place {
  directory: string;
  near: CpuAccount | undefined;
  far: CpuAccount | undefined;
  probeDirectory: string;
  stallWatch: StallWatch | undefined;
}

const NOT_WATCHED = { near: undefined, far: undefined, stallWatch: undefined };

async function runScenario(
  scenario: Scenario,
  place: Place,
  help: string,
): Promise<ScenarioResult> {
  const rounds = roundsOf();
  const plan = scenario.plan(scaleOf());
  assertRoom(place.directory, neededBytes(plan));
  say(`${scenario.name}: making ${(plan.originBytes / 2 ** 20).toFixed(0)} MiB`);
  const volume = await createVolume(place.directory, plan);
  let proxy: DelayProxy | undefined;
  let sshd: TestSshd | undefined;
  try {
    const probed = scenario.withoutProbes ? undefined : place.probeDirectory;
    const { near, far: counted, stallWatch } = scenario.withoutProbes ? NOT_WATCHED : place;
    sshd = await startSshd({
      ...(counted && { commandPrefix: counted.prefix }),
      environment: probeEnvironment(probed),
      maxSessions: 64,
    });
    const { configFile, alias, port } = sshd;
    const far: FarSide = { alias, configFile };
    if (scenario.roundTripMs !== undefined) {
      proxy = await startDelayProxy(port, scenario.roundTripMs / 2);
      far.configFile = join(place.directory, 'far_config');
      const config = readFileSync(configFile, 'utf8');
      const where = `  Port ${proxy.port}\n  HostKeyAlias [127.0.0.1]:${port}`;
      writeFileSync(far.configFile, config.replace(/^ *Port .*$/m, where));
    }
    const result: ScenarioResult = {
      name: scenario.name,
      title: scenario.title,
      reference: scenario.reference,
      rows: [],
      left: [],
    };
    const bytes = scenario.comparesAll ? volume.originBytes : volume.changedBytes;
    const taking: Taking[] = [];
    const peers =
      scenario.roundTripMs === undefined &&
      (scenario.comparesAll || scenario.contenders.some(({ name }) => /ssh/.test(name)))
        ? options.peer.map(peer)
        : [];
    for (const contender of [...scenario.contenders, ...peers]) {
      if (!isWanted(scenario, contender)) continue;
      const reason = await whyNot(contender, volume, far, help);
      if (reason !== undefined) result.left.push(`${contender.name} (${reason})`);
      else
        taking.push({
          contender,
          row: { name: contender.name, bytes, runs: [] },
        });
    }
    let isBase = false;
    const runs = options.quick ? rounds : rounds * (scenario.runsPerRound ?? 1);
    for (let round = 1; round <= runs; round++) {
      // A disk that is slower for a while after much was written is so for another one then.
      const inOrder = round % 2 === 1 ? taking : taking.toReversed();
      for (const { contender, row } of inOrder) {
        if (round > 1 && result.once?.includes(contender.name)) continue;
        if (!isBase) await volume.reset();
        isBase = contender.leavesTarget ?? false;
        const run = await measure(contender.argv(volume, far), {
          ...{ near, far: counted, stallWatch },
          probeDirectory: place.probeDirectory,
          environment: probeEnvironment(probed),
          ownSeconds: contender.ownSeconds,
        });
        row.runs.push(run);
        say(`${scenario.name}: round ${round}: ${contender.name}: ${timeOf(run.seconds)}`);
        if (!contender.rateOnly && !(await volume.isRight())) {
          throw new Error(`${scenario.name}: ${contender.name} has left a wrong target`);
        }
      }
      if (round === 1) result.once = slowOnes(taking, scenario.reference);
    }
    result.rows = taking.map(({ row }) => row);
    return result;
  } finally {
    proxy?.close();
    await sshd?.stop();
    volume.remove();
  }
}

function probeEnvironment(directory: string | undefined): Record<string, string> {
  if (directory === undefined) return {};
  const probe = fileURLToPath(new URL('probe.cjs', import.meta.url));
  return { NODE_OPTIONS: `--require=${probe}`, LVMSYNC_BENCH_PROBE: directory };
}

function isWanted(scenario: Scenario, contender: Contender): boolean {
  if (options.only === undefined) return true;
  const wanted = new RegExp(options.only);
  const isAll = wanted.test(scenario.name);
  return isAll || wanted.test(`${scenario.name}/${contender.name}`);
}

function assertRoom(directory: string, bytes: number): void {
  const { bavail, bsize, type } = statfsSync(directory);
  if (type === TMPFS_MAGIC) say(`${directory} is in memory: choose a disk with --dir`);
  if (bavail * bsize < bytes + RESERVE_BYTES) {
    throw new Error(
      `${directory} needs ${bytes + RESERVE_BYTES} bytes, ${bavail * bsize} are free: choose another --dir, or a smaller --scale`,
    );
  }
}

async function openPlace(): Promise<Place> {
  const directory = mkdtempSync(join(resolve(options.dir), 'lvmsync-bench-'));
  const probeDirectory = join(directory, 'probes');
  mkdirSync(probeDirectory);
  const [near, far] = [openCpuAccount('near'), openCpuAccount('far')];
  if (near === undefined) say('no control groups here (they take root): CPU is not counted');
  const stallWatch = await watchForStalls();
  if (stallWatch === undefined)
    say('no kernel tracing here (it takes root): stops of a core go unseen');
  return { directory, probeDirectory, near, far, stallWatch };
}

async function closePlace({ directory, near, far, stallWatch }: Place): Promise<void> {
  stallWatch?.close();
  await near?.remove();
  await far?.remove();
  rmSync(directory, { recursive: true, force: true });
}

async function main(): Promise<number> {
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  // Where it is set, every start of Node on this side parses hundreds of certificates.
  delete process.env.NODE_EXTRA_CA_CERTS;
  const startedAt = performance.now();
  if (options.list) {
    for (const { name, title, contenders } of SCENARIOS) {
      process.stdout.write(`${name}: ${title}\n`);
      for (const contender of contenders) process.stdout.write(`  ${name}/${contender.name}\n`);
    }
    process.stdout.write(`${METADATA}\n`);
    return 0;
  }
  const earlier = options.compare === undefined ? undefined : readResults(options.compare);
  const help = (
    await Promise.all([['--help'], ['verify', '--help']].map((args) => runLvmsync(args)))
  )
    .map(({ stdout }) => stdout.toString())
    .join('');
  const place = await openPlace();
  const results: Results = {
    version: 1,
    date: new Date().toISOString(),
    machine: machineFacts(place.directory),
    rounds: roundsOf(),
    scale: scaleOf(),
    scenarios: [],
  };
  const stop = () => {
    void closePlace(place).finally(() => process.exit(130));
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  try {
    for (const scenario of SCENARIOS) {
      if (!scenario.contenders.some((contender) => isWanted(scenario, contender))) continue;
      results.scenarios.push(await runScenario(scenario, place, help));
    }
    if (options.only === undefined || new RegExp(options.only).test(METADATA)) {
      const { directory } = place;
      const { scale, rounds } = results;
      assertRoom(directory, metadataBytes(scale));
      const { status } = await runCommand('sh', ['-c', 'command -v fio']);
      results.scenarios.push(
        measureMetadata({ directory, scale, rounds, hasFio: status === 0, say }),
      );
    }
  } finally {
    await closePlace(place);
  }
  const report = [...results.scenarios.map(tableOf), barsOf(results)].filter(Boolean).join('\n\n');
  process.stdout.write(`${report}\n`);
  const seconds = Math.round((performance.now() - startedAt) / 1000);
  say(`the bench took ${Math.floor(seconds / 60)} min ${seconds % 60} s`);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results)}\n`);
  if (options.svg !== undefined) writeFileSync(options.svg, chartOf(results));
  if (options.markdown !== undefined) writeMarkdown(options.markdown, results, report);
  const slower = earlier === undefined ? [] : slowerThan(earlier, results);
  for (const line of slower) process.stdout.write(`slower: ${line}\n`);
  return slower.length > 0 ? 1 : 0;
}

function writeMarkdown(
  path: string,
  { machine, date, rounds, scale }: Results,
  report: string,
): void {
  const { cores, processor, kernel, node } = machine;
  const facts = `${date.slice(0, 10)}, ${cores} cores of ${processor}, Linux ${kernel}, Node ${node}; medians of ${rounds} interleaved rounds, scale ${scale}.`;
  const text = `${BEGIN}\n\n${facts}\n\n${report}\n\n${END}`;
  const old = existsSync(path) ? readFileSync(path, 'utf8') : `${BEGIN}${END}\n`;
  const [before, rest = ''] = old.split(BEGIN);
  const after = rest.split(END)[1] ?? '\n';
  writeFileSync(path, `${before}${text}${after}`);
}

main().then(
  (status) => process.exit(status),
  (error: unknown) => {
    say(`bench: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(2);
  },
);
