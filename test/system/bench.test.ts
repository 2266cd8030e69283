/** The bench itself, on volumes of a few mebibytes; what it measures is nobody's business here. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openCpuAccount } from '../bench/cgroup.js';
import type { Results } from '../bench/results.js';
import { runCommand } from '../support/command.js';
import { repositoryRoot } from '../support/repository.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();
const json = join(directory, 'results.json');

function bench(...args: string[]) {
  const small = ['--dir', directory, '--scale', '0.004', '--rounds', '1', '--only', '^zeroes$'];
  return runCommand(join(repositoryRoot, 'scripts/bench'), [...small, ...args]);
}

const leftovers = () => readdirSync(directory).filter((name) => name.startsWith('lvmsync-bench'));

describe('the bench', () => {
  test('when it has run then timings, a table and a chart are there, and nothing else', async () => {
    const svg = join(directory, 'chart.svg');
    const markdown = join(directory, 'table.md');
    const { status, stdout, stderr } = await bench(
      '--json',
      json,
      '--svg',
      svg,
      '--markdown',
      markdown,
    );
    assert.equal(status, 0, stderr);
    const results = JSON.parse(readFileSync(json, 'utf8')) as Results;
    const [zeroes] = results.scenarios;
    assert.deepEqual(
      zeroes?.rows.map(({ name }) => name),
      ['lvmsync', 'lvmsync --engine js', 'dd | ssh | dd'],
    );
    for (const { runs } of zeroes?.rows ?? []) assert.ok(runs.every(({ seconds }) => seconds > 0));
    const [ours] = zeroes?.rows ?? [];
    assert.ok((ours?.runs[0]?.rssNear ?? 0) > 1e7 && (ours?.runs[0]?.rssFar ?? 0) > 1e7);
    assert.match(stdout.toString(), /\| lvmsync --engine js \|/);
    assert.match(readFileSync(markdown, 'utf8'), /medians of 1 interleaved rounds/);
    assert.match(readFileSync(svg, 'utf8'), /^<svg /);
    assert.deepEqual(leftovers(), []);
  });

  test('when nothing got slower since an earlier run then comparing says so', async () => {
    const earlier = JSON.parse(readFileSync(json, 'utf8')) as Results;
    const scale = (factor: number) => {
      for (const { rows } of earlier.scenarios) {
        for (const { runs } of rows) for (const run of runs) run.seconds *= factor;
      }
      return JSON.stringify(earlier);
    };
    writeFileSync(json, scale(100));
    assert.equal((await bench('--compare', json)).status, 0);
    writeFileSync(json, scale(1e-6));
    const { status, stdout } = await bench('--compare', json);
    assert.equal(status, 1);
    assert.match(stdout.toString(), /slower: zeroes: lvmsync takes/);
  });

  test('when a contender leaves a wrong target then the bench fails and cleans up', async () => {
    const { status, stderr } = await bench('--peer', 'nothing=true');
    assert.equal(status, 2);
    assert.match(stderr, /nothing has left a wrong target/);
    assert.deepEqual(leftovers(), []);
  });

  test('when a contender fails then what it said is shown', async () => {
    const { status, stderr } = await bench('--peer', 'broken=ls /nowhere/at/all');
    assert.equal(status, 2);
    assert.match(stderr, /No such file/);
  });

  test('when a program burns its CPU then it is counted, with what it starts', async (t) => {
    const account = openCpuAccount('test');
    if (account === undefined) return t.skip('no control groups can be made here: that takes root');
    const [program = '', ...prefix] = account.prefix;
    const burn =
      'const spent = () => { const { user, system } = process.cpuUsage(); return user + system; };' +
      'while (spent() < 500_000) for (let i = 0; i < 1e6; i++);';
    const line = `node -e '${burn}' & node -e '${burn}'; wait`;
    const { status } = await runCommand(program, [...prefix, 'sh', '-c', line]);
    assert.equal(status, 0);
    const seconds = account.seconds();
    await account.remove();
    assert.ok(seconds > 0.95 && seconds < 2, `${seconds} s of CPU`);
  });
});
