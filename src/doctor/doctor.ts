/** Looks over both ends of a run to come, and the way between them; nothing is changed. */
import { LvmsyncError } from '../errors.js';
import { passOn } from '../stream/bytes.js';
import type { Channel, Transport } from '../transport/channel.js';
import { explainEnd } from '../transport/remote-exit.js';
import { type ExamineOptions, examineHost } from './examine-host.js';
import { type Finding, failure, ok, warning } from './finding.js';
import type { HostReport, Rates } from './host-report.js';
import { type Answer, type LinkSpeed, questionHost } from './question-host.js';
import { inRate } from './speed.js';

export interface DoctorOptions {
  here: ExamineOptions;
  there?: Patient | undefined;
}

/** The host at the other end. */
export interface Patient {
  transport: Transport;
  /** What runs there, for messages. */
  command: string;
  target: string | undefined;
  timeoutMs: number;
}

export interface DoctorReport {
  here: HostReport;
  there: HostReport | undefined;
  /** Of the way to the other end. */
  link: Finding[];
  speed: LinkSpeed | undefined;
  /** What a GiB of data takes, and what it waits for; undefined where nothing could be measured. */
  perGib: { seconds: number; slowest: string } | undefined;
  /** Whether nothing was found that would stop a run. */
  well: boolean;
}

const GIB = 2 ** 30;
const INSTALL = 'npm install -g lvmsync';
const MAX_ERROR_BYTES = 4096;
const MAX_VERSION_BYTES = 200;

export async function doctor({
  here: options,
  there: patient,
}: DoctorOptions): Promise<DoctorReport> {
  const here = await examineHost(options);
  const link: Finding[] = [];
  let answer: Answer | undefined;
  if (patient !== undefined) {
    try {
      answer = await ask(patient);
      link.push(ok('link', describe(answer.link)));
    } catch (error) {
      if (!(error instanceof LvmsyncError)) throw error;
      link.push(await explain(error, patient));
    }
  }
  const there = answer?.report;
  const all = [...here.findings, ...link, ...(there?.findings ?? [])];
  return {
    ...{ here, there, link, speed: answer?.link },
    perGib: estimate(here.rates, there?.rates, answer?.link),
    well: all.every(({ status }) => status !== 'failure'),
  };
}

function describe({ roundTripMs, bytesPerSecond }: LinkSpeed): string {
  return `${roundTripMs.toFixed(1)} ms round trip, ${inRate(bytesPerSecond)} through one channel`;
}

/** A run is as fast as the slowest of what its data passes. */
function estimate(
  here: Rates,
  there: Rates | undefined,
  link: LinkSpeed | undefined,
): DoctorReport['perGib'] {
  const stages = [
    ['the link', link?.bytesPerSecond],
    ['reading here', here.read],
    ['the disk there', there?.read],
  ] as const;
  const known = stages.filter(
    (stage): stage is [(typeof stage)[0], number] => stage[1] !== undefined,
  );
  if (known.length === 0) return undefined;
  const [slowest, rate] = known.reduce((a, b) => (a[1] <= b[1] ? a : b));
  return { seconds: GIB / rate, slowest };
}

/** @throws LvmsyncError why there is no answer */
async function ask(patient: Patient): Promise<Answer> {
  const { transport, target, timeoutMs } = patient;
  const words = target === undefined ? [] : ['--', target];
  const printed = collect(MAX_ERROR_BYTES);
  const channel = await transport.open(['lvmsync', 'doctor', '--answer', ...words], printed.add);
  try {
    return await questionHost(channel, timeoutMs);
  } catch (error) {
    channel.answers.discard();
    const end = await within(timeoutMs, channel, channel.end);
    const ended = end && explainEnd(end, { ...patient, description: transport.description });
    if (/lvmsync serve refuses/.test(printed.text())) throw servedOnly(transport.description);
    throw ended === undefined || ended.code === 'REMOTE_FAILED' ? error : ended;
  } finally {
    channel.destroy();
  }
}

function servedOnly(description: string): LvmsyncError {
  const message = `${description}: a forced command there receives, and answers no questions`;
  return new LvmsyncError('TARGET_UNSUITABLE', message, { hint: 'try a run with --dry-run' });
}

/** Who does not answer may be an original lvmsync, or an older one. */
async function explain(error: LvmsyncError, patient: Patient): Promise<Finding> {
  const { description } = patient.transport;
  if (error.code === 'TARGET_UNSUITABLE') return warning('lvmsync', error.message, error.hint);
  if (error.code === 'REMOTE_NOT_STARTED') {
    return failure('lvmsync', error.message, `${description} ${INSTALL}`);
  }
  if (error.code !== 'REMOTE_FAILED') return failure('connection', error.message, error.hint);
  const version = await askVersion(patient).catch(() => undefined);
  const text =
    version === undefined
      ? error.message
      : `${description}: lvmsync ${version} there is the classic one, or too old to answer`;
  return failure('lvmsync', text, `${description} ${INSTALL}`);
}

async function askVersion({ transport, timeoutMs }: Patient): Promise<string | undefined> {
  const printed = collect(MAX_VERSION_BYTES);
  const channel = await transport.open(['lvmsync', '--version'], () => {});
  try {
    await within(timeoutMs, channel, passOn(channel.answers, printed.add));
    return /\d+\.\d+\.\d+/.exec(printed.text())?.[0];
  } finally {
    channel.destroy();
  }
}

/** Waits so long for its end, in one way or the other, then brings it about. */
async function within<T>(timeoutMs: number, channel: Channel, ended: Promise<T>): Promise<T> {
  const timer = setTimeout(() => channel.destroy(), Math.min(timeoutMs || 10_000, 10_000));
  channel.input.end();
  try {
    return await ended;
  } finally {
    clearTimeout(timer);
  }
}

/** The first bytes of what is printed. */
function collect(maxBytes: number) {
  let bytes = Buffer.alloc(0);
  return {
    add(chunk: Buffer) {
      bytes = Buffer.concat([bytes, chunk.subarray(0, maxBytes - bytes.length)]);
    },
    text: () => bytes.toString(),
  };
}
