/** What a run of the bench leaves: as JSON, as a table, against an earlier one. */
import { readFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import type { Run } from './measure.js';
import { isSlower, spreadOf } from './stats.js';

export interface Row {
  name: string;
  /** Bytes that one run moves. */
  bytes: number;
  runs: Run[];
}

/** Whether it is ours with the native engine. */
export function isNative(name: string): boolean {
  return name.startsWith('lvmsync') && !name.includes('--engine js');
}

export interface ScenarioResult {
  name: string;
  title: string;
  reference: string;
  rows: Row[];
  /** Contenders that did not take part, and why. */
  left: string[];
  /** Contenders that ran in the first round alone, being so much slower than the reference. */
  once?: string[];
  /** What is no timing. */
  facts?: Record<string, number>;
}

export interface Results {
  version: 1;
  date: string;
  machine: { cores: number; processor: string; kernel: string; node: string; directory: string };
  rounds: number;
  scale: number;
  scenarios: ScenarioResult[];
}

export function machineFacts(directory: string): Results['machine'] {
  const [first] = cpus();
  return {
    cores: cpus().length,
    processor: first?.model.trim() ?? 'unknown',
    kernel: release(),
    node: process.version,
    directory,
  };
}

/** @throws Error when it is not the file of a bench */
export function readResults(path: string): Results {
  const results = JSON.parse(readFileSync(path, 'utf8')) as Results;
  if (results.version !== 1) throw new Error(`${path} is not of this bench`);
  return results;
}

const GIB = 2 ** 30;

export function medianSeconds({ runs }: Row): number {
  return spreadOf(runs.map(({ seconds }) => seconds)).median;
}

/** Seconds of CPU for each GiB moved, of both sides; undefined where nobody counted. */
export function cpuPerGib({ runs, bytes }: Row): number | undefined {
  const values = runs.flatMap(({ cpuNear, cpuFar }) =>
    cpuNear === undefined ? [] : [cpuNear + (cpuFar ?? 0)],
  );
  return values.length === 0 ? undefined : spreadOf(values).median / (bytes / GIB);
}

/** How many times as fast as the reference, in bytes per second; undefined without one. */
export function ratioTo({ rows }: ScenarioResult, row: Row, reference: string): number | undefined {
  const other = rows.find(({ name }) => name === reference);
  if (other === undefined) return undefined;
  return row.bytes / medianSeconds(row) / (other.bytes / medianSeconds(other));
}

/** A table in Markdown, which reads as well in a terminal. */
export function tableOf(scenario: ScenarioResult): string {
  const header = ['', 'time', 'spread', 'MB/s', 'ratio', 'CPU s/GiB', 'RSS MiB', 'turn ms'];
  const lines = scenario.rows.map((row) => {
    const { median, least, most } = spreadOf(row.runs.map(({ seconds }) => seconds));
    const ratio = ratioTo(scenario, row, scenario.reference);
    const isLarge = row.bytes >= 16 << 20;
    return [
      row.name,
      timeOf(median),
      `${timeOf(least)}-${timeOf(most)}`,
      isLarge ? (row.bytes / median / 1e6).toFixed(0) : '-',
      ratio === undefined ? '-' : ratio.toFixed(2),
      isLarge ? (cpuPerGib(row)?.toFixed(2) ?? '-') : '-',
      most2(row, ['rssNear', 'rssFar'], 2 ** 20),
      most2(row, ['loopP99Ms', 'loopMaxMs'], 1),
    ];
  });
  const widths = header.map((word, i) =>
    Math.max(word.length, ...lines.map((line) => line[i]!.length)),
  );
  const line = (cells: string[]) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' | ')} |`;
  const rule = `| ${widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  const title = `**${scenario.name}**: ${scenario.title}. Ratio: rate against \`${scenario.reference}\`.`;
  const left = scenario.left.map((reason) => `Left out: ${reason}.`);
  const once = (scenario.once ?? []).map((name) => `Ran once, being so slow: ${name}.`);
  const facts = Object.entries(scenario.facts ?? {}).map(
    ([what, n]) => `- ${what}: ${n.toFixed(0)}`,
  );
  const notes = [...left, ...once, ...facts];
  const behind = notes.length > 0 ? ['', ...notes] : [];
  return [title, '', line(header), rule, ...lines.map(line), ...behind].join('\n');
}

export function timeOf(seconds: number): string {
  return seconds < 1 ? `${(seconds * 1000).toFixed(0)} ms` : `${seconds.toFixed(2)} s`;
}

/** The largest of each of two figures; `-` where there are none. */
function most2({ runs }: Row, keys: readonly [keyof Run, keyof Run], unit: number): string {
  const found = keys.map((key) => {
    const values = runs.flatMap((run) => (run[key] === undefined ? [] : [run[key]]));
    return values.length === 0 ? '-' : (Math.max(...values) / unit).toFixed(0);
  });
  return found.every((text) => text === '-') ? '-' : found.join(' / ');
}

/** A line for each contender that has become slower than chance explains. */
export function slowerThan(earlier: Results, later: Results): string[] {
  const lines: string[] = [];
  for (const scenario of later.scenarios) {
    const before = earlier.scenarios.find(({ name }) => name === scenario.name);
    for (const row of scenario.rows) {
      const old = before?.rows.find(({ name }) => name === row.name);
      if (old === undefined) continue;
      // Seconds for each byte: the two may have been made at different scales.
      const [was, is] = [old, row].map(({ runs, bytes }) =>
        spreadOf(runs.map(({ seconds }) => seconds / bytes)),
      );
      if (was === undefined || is === undefined || !isSlower(was, is)) continue;
      const times = (is.median / was.median).toFixed(2);
      lines.push(`${scenario.name}: ${row.name} takes ${times} times as long`);
    }
  }
  return lines;
}
