import { isatty } from 'node:tty';
import {
  drawMap,
  type Engine,
  EXIT,
  type ExitCode,
  type Inspection,
  inspectFile,
  inspectSource,
  type NamedInspection,
  orderOf,
  streamSource,
} from '../index.js';
import { openEngine } from './engine.js';
import type { InspectOwnOptions } from './inspect-command.js';
import { inspectionText, inspectJson, orderText } from './inspect-report.js';
import { type Job, usageError } from './job.js';
import { terminalLook } from './map.js';
import { printJson, printText } from './print.js';

const STDIN_FD = 0;

/** `lvmsync inspect FILE...`. @returns the exit code: whether all are right */
export async function runInspect(job: Job<InspectOwnOptions>): Promise<ExitCode> {
  const { words, options } = job;
  if (words.filter((word) => word === '-').length > 1) {
    throw usageError('standard input can be read only once');
  }
  const engine = openEngine(job);
  const files: NamedInspection[] = [];
  for (const name of words) {
    const file = { name, inspection: await inspect(name, engine, job.signal) };
    files.push(file);
    if (!options.json) printText(`${inspectionText(file)}${options.map ? mapOf(file) : ''}`);
  }
  const order = orderOf(files);
  if (options.json) printJson(inspectJson(files, order));
  else for (const group of order) printText(`\n${orderText(group)}`);
  return files.every(({ inspection }) => isRight(inspection)) ? EXIT.success : EXIT.integrity;
}

function inspect(name: string, engine: Engine, signal: AbortSignal): Promise<Inspection> {
  if (name !== '-') return inspectFile(name, { engine, signal });
  if (isatty(STDIN_FD)) {
    throw usageError('standard input is a terminal, not a stream', 'pipe a stream into it');
  }
  const description = 'standard input';
  const source =
    engine.readInput?.(STDIN_FD, description) ?? streamSource(process.stdin, description);
  return inspectSource(source, { engine, signal });
}

function isRight({ state }: Inspection): boolean {
  return state === 'whole' || state === 'unproven';
}

/** Of PROTO[3], which does not say how large the volume is, up to the last change. */
function mapOf({ inspection: { coverage, header } }: NamedInspection): string {
  const volumeBytes = header?.sizeBytes ?? coverage.end;
  if (volumeBytes === 0) return '';
  const lines = drawMap(coverage, volumeBytes, terminalLook(process.stdout, process.env));
  return `\n${lines.join('\n')}\n`;
}
