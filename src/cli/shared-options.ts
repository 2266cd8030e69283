/** The options that several commands have in common. */
import { writeSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { BUFFER_MEMORY, parseRate, QUEUE_DEPTH } from '../index.js';
import { parseBufferMemory, parseQueueDepth, rangeOf } from './engine.js';

/** How commander's words come out. */
export const OUTPUT = {
  writeOut(text: string) {
    try {
      writeSync(1, text);
    } catch {
      // Whoever reads it has read enough.
    }
  },
  outputError: (text: string, write: (text: string) => void) =>
    write(
      text
        .replace(/^error: /, 'FATAL ERROR: ')
        .replace(/^\(Did you mean (.*)\?\)$/m, '  did you mean: $1'),
    ),
};

/** Headings of `--help`; what has none is under `Options:`. */
export const GROUP = {
  host: 'Reaching the host:',
  load: 'Speed and load:',
  checks: 'Safety:',
} as const;

export const verbose = () => new Option('-v, --verbose', 'say what is done');
export const debug = () => new Option('-d, --debug', 'say it in detail');
export const quiet = () =>
  new Option('-q, --quiet', 'print errors only').conflicts(['verbose', 'debug']);
export const engine = () =>
  new Option('--engine <engine>', 'what does the block I/O')
    .helpGroup(GROUP.load)
    .choices(['auto', 'native', 'js']);
export const queueDepth = () =>
  new Option(
    '--queue-depth <requests>',
    `requests to devices at a time, at each end: ${rangeOf(QUEUE_DEPTH)} (default: ${QUEUE_DEPTH.default})`,
  )
    .helpGroup(GROUP.load)
    .argParser(parseQueueDepth);
export const bufferMemory = () =>
  new Option(
    '--buffer-memory <size>',
    `for the data on its way, at each end: ${rangeOf(BUFFER_MEMORY, 'M')} (default: ${BUFFER_MEMORY.default / 2 ** 20}M)`,
  )
    .helpGroup(GROUP.load)
    .argParser(parseBufferMemory);
export const stateDir = () =>
  new Option(
    '--state-dir <directory>',
    'where what must outlive a run is kept on this machine',
  ).helpGroup(GROUP.checks);
export const force = () =>
  new Option('--force', 'override the refusals that can be overridden').helpGroup(GROUP.checks);

export const dryRun = (what = 'check everything, say what would be done, change nothing') =>
  new Option('-n, --dry-run', what);

export const rsh = () =>
  new Option('-e, --rsh <command>', 'reach the host with this command, as rsync does').helpGroup(
    GROUP.host,
  );

export const remoteCommand = () =>
  new Option('--remote-command <command>', 'how to run lvmsync on the host').helpGroup(GROUP.host);

export const bootstrap = () =>
  new Option(
    '--bootstrap',
    'the host has Node but no lvmsync: send it along for this run; --remote-command says how Node is run',
  ).helpGroup(GROUP.host);

export const sshConfig = () =>
  new Option('--ssh-config <file>', 'read this instead of the usual ssh configuration').helpGroup(
    GROUP.host,
  );

export const timeout = () =>
  new Option('--timeout <seconds>', 'give up when the other end is silent so long; 0: never')
    .helpGroup(GROUP.host)
    .argParser(parseSeconds)
    .default(60);

export const retries = () =>
  new Option('--retries <times>', 'connect again so often when a connection breaks')
    .helpGroup(GROUP.host)
    .argParser(parseTimes)
    .default(5);

export const channels = () =>
  new Option('--channels <number>', 'channels for the data on each SSH connection, or auto')
    .helpGroup(GROUP.load)
    .argParser(parseLinks)
    .default('auto');

export const streams = () =>
  new Option('--streams <number>', 'SSH connections for the data, or auto')
    .helpGroup(GROUP.load)
    .argParser(parseLinks)
    .default('auto');

export const dataChannel = () =>
  new Option('--data-channel <kind>', 'tls: the data over TLS 1.3, keyed through SSH')
    .helpGroup(GROUP.load)
    .choices(['ssh', 'tls'])
    .default('ssh');

export const compress = () =>
  new Option('--compress', 'compress the data where both ends can (zstd)').helpGroup(GROUP.load);

export const skipUnchanged = () =>
  new Option(
    '--skip-unchanged',
    'compare changed chunks with what they held, and send only the blocks that differ (default: large chunks, where it is faster)',
  ).helpGroup(GROUP.load);

export const noSkipUnchanged = () =>
  new Option('--no-skip-unchanged', 'send changed chunks whole').helpGroup(GROUP.load);

export const progress = () =>
  new Option(
    '--progress <kind>',
    'how far it is: a bar on a terminal, plain lines, or JSON (default: a bar, where there is a terminal)',
  ).choices(['auto', 'bar', 'plain', 'json', 'none']);

export const progressFd = () =>
  new Option(
    '--progress-fd <number>',
    'write that to this open descriptor, as JSON unless --progress says otherwise',
  ).argParser(parseDescriptor);

export const bwlimit = () =>
  new Option(
    '--bwlimit <rate>',
    'send no more than this a second: KiB, or with a suffix such as 1.5M; 0: no limit',
  ).argParser(parseBandwidth);

export const json = () =>
  new Option('--json', 'print the result as JSON on standard output, a failure too');

export function parseBandwidth(text: string): number {
  const rate = parseRate(text);
  if (rate !== undefined) return rate;
  throw new InvalidArgumentError('It is a rate, such as 500, 1.5M or 2G, 1K at the least, or 0.');
}

function parseDescriptor(text: string): number {
  const descriptor = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (descriptor >= 1) return descriptor;
  throw new InvalidArgumentError('It is the number of an open descriptor, such as 3.');
}

export const dataSource = () =>
  new Option(
    '-r, --data-source <device>',
    'read the data here: a later snapshot of the same origin',
  );

export const snapback = () =>
  new Option('-b, --snapback <file>', 'save what is overwritten, on the receiving side').helpGroup(
    GROUP.checks,
  );

export const snapbackFormat = () =>
  new Option(
    '--snapback-format <format>',
    '4 for rollback, 3 for what an original lvmsync can apply (default: 4)',
  )
    .choices(['3', '4'])
    .argParser(parseFormat)
    .helpGroup(GROUP.checks);

export const transactional = () =>
  new Option(
    '--transactional',
    'write nothing before everything has come: the target becomes new, or stays as it is',
  )
    .conflicts('stdout')
    .helpGroup(GROUP.checks);

export const verifyBase = () =>
  new Option(
    '--verify-base <how>',
    'check that the target holds what the changes were made to before writing',
  )
    .choices(['sample', 'full'])
    .default('sample')
    .helpGroup(GROUP.checks);

export const noVerifyBase = () =>
  new Option('--no-verify-base', 'write without that check').helpGroup(GROUP.checks);

function parseFormat(text: string): 3 | 4 {
  if (text === '3' || text === '4') return text === '3' ? 3 : 4;
  throw new InvalidArgumentError('Allowed choices are 3, 4.');
}

function parseLinks(text: string): number | 'auto' {
  if (text === 'auto') return text;
  if (/^\d{1,2}$/.test(text) && Number(text) >= 1 && Number(text) <= 16) return Number(text);
  throw new InvalidArgumentError('It is a number from 1 to 16, or auto.');
}

export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && seconds <= 86_400) return seconds;
  throw new InvalidArgumentError('It is a number of seconds, a day at the most.');
}

export function parseTimes(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is a whole number, 9999 at the most.');
}

/** Options that come together. */
export const REACHING = [rsh, remoteCommand, bootstrap, sshConfig, timeout, retries];
export const LINKING = [channels, streams, dataChannel];
export const ENGINE = [engine, queueDepth, bufferMemory];
export const REPORTING = [progress, progressFd, json, verbose, debug, quiet];

export function withOptions(command: Command, ...options: readonly (() => Option)[]): Command {
  for (const option of options) command.addOption(option());
  return command;
}
