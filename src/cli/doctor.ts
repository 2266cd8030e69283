import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import {
  answerDoctor,
  type Destination,
  type DoctorReport,
  doctor,
  type Engine,
  EXIT,
  type ExitCode,
  examineHost,
  type Finding,
  loadEngine,
  parseDestination,
  standardOutput,
  type Transport,
} from '../index.js';
import type { DoctorOwnOptions } from './doctor-command.js';
import { type HostName, openTransport } from './host.js';
import type { Job } from './job.js';
import { OUTPUT } from './shared-options.js';
import { packageVersion } from './version.js';

/** `lvmsync doctor [WHERE]`. @returns the exit code */
export async function runDoctor(job: Job<DoctorOwnOptions>): Promise<ExitCode> {
  const { source: where, options } = job;
  const loaded = loadEngine(options.engine);
  const version = packageVersion();
  if (options.answer) {
    const report = await examineHost({ role: 'receiver', version, loaded, target: where });
    await answerDoctor(report, process.stdin, standardOutput());
    return EXIT.success;
  }
  const place = where === undefined ? undefined : parsePlace(where);
  const here = { role: 'sender', version, loaded, source: options.source } as const;
  if (place?.kind !== 'remote') {
    const report = await doctor({ here: { ...here, target: place?.path } });
    return tell(job, report, 'there', []);
  }
  const notes: string[] = [];
  const transport = openNotedTransport(job, place, loaded.engine, notes);
  try {
    const there = {
      transport,
      command: options.remoteCommand ?? 'lvmsync',
      target: place.path === '' ? undefined : place.path,
      timeoutMs: options.timeout * 1000,
    };
    return tell(job, await doctor({ here, there }), place.host, notes);
  } finally {
    await transport.close();
  }
}

/** A word without `:` and `/` that is no file is a host: what is to be written is not named. */
function parsePlace(where: string): Destination {
  if (/[:/]/.test(where) || existsSync(where)) return parseDestination(where);
  return { ...parseDestination(`${where}:/`), path: '' };
}

/** What the transport says of the connection is worth knowing here without `-v`. */
function openNotedTransport(
  job: Job,
  { user, host }: HostName,
  engine: Engine,
  notes: string[],
): Transport {
  const note = (line: string) => {
    notes.push(line);
    job.reporter.note(line);
  };
  return openTransport({ ...job, reporter: { ...job.reporter, note } }, { user, host }, engine);
}

function tell(
  { options: { json, quiet } }: Job<DoctorOwnOptions>,
  report: DoctorReport,
  host: string,
  notes: readonly string[],
): ExitCode {
  const { here, there, link, perGib, well } = report;
  const connected = notes.find((line) => line.startsWith('connected to'));
  const ssh: Finding[] =
    connected === undefined ? [] : [{ name: 'connection', status: 'ok', text: connected }];
  if (json) {
    const { speed } = report;
    const all = { format: 1, well, here, there, link: [...ssh, ...link], speed, perGib };
    OUTPUT.writeOut(`${JSON.stringify(all, undefined, 2)}\n`);
    return well ? EXIT.success : EXIT.refused;
  }
  const sections: [string, readonly Finding[]][] = [
    [`This machine (${hostname()})`, here.findings],
    [`The way to ${host}`, [...ssh, ...link]],
    [`The other end (${host})`, there?.findings ?? []],
  ];
  const lines = sections.flatMap(([title, findings]) => {
    const shown = findings.filter(({ status }) => !quiet || status === 'failure');
    return shown.length === 0 ? [] : [title, ...shown.map(lineOf)];
  });
  if (perGib !== undefined && !quiet) {
    const seconds = perGib.seconds.toFixed(perGib.seconds < 10 ? 1 : 0);
    lines.push(`A GiB takes about ${seconds} s: ${perGib.slowest} is the slowest part`);
  }
  if (!well) lines.push('Something would stop a run: mend what says FAIL');
  else if (!quiet) lines.push('Nothing would stop a run');
  OUTPUT.writeOut(lines.map((line) => `${line}\n`).join(''));
  return well ? EXIT.success : EXIT.refused;
}

const LABELS = { ok: 'ok  ', warning: 'warn', failure: 'FAIL' };

function lineOf({ name, status, text, mend }: Finding): string {
  return `  ${LABELS[status]}  ${name}: ${text}${mend === undefined ? '' : `; mend it: ${mend}`}`;
}
