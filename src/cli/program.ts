import { writeSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { BUFFER_MEMORY, QUEUE_DEPTH } from '../index.js';
import { parseBufferMemory, parseQueueDepth, rangeOf } from './engine.js';
import type { CliOptions } from './options.js';
import { packageVersion } from './version.js';

/** Which command a command line is for. */
export interface Chosen {
  command: 'classic' | 'rollback';
  words: (string | undefined)[];
  options: CliOptions;
}

/**
 * Reads a command line; help and the version are printed.
 *
 * @throws CommanderError
 */
export function parseCommandLine(argv: readonly string[]): Chosen {
  let chosen: Chosen | undefined;
  const program = classicProgram().exitOverride();
  program.action((source: string | undefined, destination: string | undefined) => {
    const options = program.opts<CliOptions>();
    chosen = { command: 'classic', words: [source, destination], options };
  });
  const rollback = rollbackCommand().exitOverride();
  rollback.action((snapback: string, target: string) => {
    const options = { ...program.opts<CliOptions>(), ...rollback.opts<Partial<CliOptions>>() };
    chosen = { command: 'rollback', words: [snapback, target], options };
  });
  program.addCommand(rollback);
  program.parse(argv, { from: 'user' });
  if (chosen === undefined) throw new InvalidArgumentError('no command');
  return chosen;
}

function rollbackCommand(): Command {
  return new Command('rollback')
    .description(
      'Put back what a run has overwritten, from its snapback. May be interrupted and run again.',
    )
    .argument('<snapback>', 'the file that --snapback named')
    .argument('<target>', 'what that run wrote to')
    .addOption(verbose())
    .addOption(debug())
    .addOption(quiet())
    .addOption(engine())
    .addOption(stateDir())
    .addOption(force())
    .configureOutput(OUTPUT);
}

const OUTPUT = {
  writeOut(text: string) {
    try {
      writeSync(1, text);
    } catch {
      // Whoever reads it has read enough.
    }
  },
  outputError: (text: string, write: (text: string) => void) =>
    write(text.replace(/^error: /, 'FATAL ERROR: ')),
};

const verbose = () => new Option('-v, --verbose', 'say what is done');
const debug = () => new Option('-d, --debug', 'say it in detail');
const quiet = () => new Option('-q, --quiet', 'print errors only').conflicts(['verbose', 'debug']);
const engine = () =>
  new Option('--engine <engine>', 'what does the block I/O').choices(['auto', 'native', 'js']);
const queueDepth = () =>
  new Option(
    '--queue-depth <requests>',
    `requests to devices at a time, at each end: ${rangeOf(QUEUE_DEPTH)} (default: ${QUEUE_DEPTH.default})`,
  ).argParser(parseQueueDepth);
const bufferMemory = () =>
  new Option(
    '--buffer-memory <size>',
    `for the data on its way, at each end: ${rangeOf(BUFFER_MEMORY, 'M')} (default: ${BUFFER_MEMORY.default / 2 ** 20}M)`,
  ).argParser(parseBufferMemory);
const stateDir = () =>
  new Option('--state-dir <directory>', 'where what must outlive a run is kept on this machine');
const force = () => new Option('--force', 'override the refusals that can be overridden');

function classicProgram(): Command {
  return new Command('lvmsync')
    .description("Send the changed blocks of an LVM snapshot onto another machine's block device.")
    .argument('[source]', 'the snapshot (or, with --apply, the target)')
    .argument('[destination]', 'where the changes go: [[user@]host:]device')
    .addOption(verbose())
    .addOption(debug())
    .addOption(quiet())
    .addOption(
      new Option('-b, --snapback <file>', 'save what is overwritten, on the receiving side'),
    )
    .addOption(
      new Option(
        '--snapback-format <format>',
        '4 for rollback, 3 for what an original lvmsync can apply (default: 4)',
      )
        .choices(['3', '4'])
        .argParser(parseFormat),
    )
    .addOption(
      new Option(
        '--transactional',
        'write nothing before everything has come: the target becomes new, or stays as it is',
      ).conflicts('stdout'),
    )
    .addOption(stateDir())
    .addOption(
      new Option('-a, --apply <file>', 'apply a stream or a snapback to a device; - is stdin'),
    )
    .addOption(new Option('--server').hideHelp().conflicts(['apply', 'stdout']))
    .addOption(
      new Option('-s, --stdout', 'write the stream to standard output').conflicts([
        'apply',
        'snapback',
      ]),
    )
    .addOption(
      new Option(
        '-r, --data-source <device>',
        'read the data here: a later snapshot of the same origin',
      ),
    )
    .addOption(
      new Option(
        '--cow-device <store>',
        'read the list of changes from this exception store; needs --data-source',
      ),
    )
    .addOption(new Option('-e, --rsh <command>', 'reach the host with this command, as rsync does'))
    .addOption(new Option('--remote-command <command>', 'how to run lvmsync on the host'))
    .addOption(
      new Option('--ssh-config <file>', 'read this instead of the usual ssh configuration'),
    )
    .addOption(engine().default('auto'))
    .addOption(queueDepth())
    .addOption(bufferMemory())
    .addOption(
      new Option('--protocol <protocol>', 'what to speak: 3 is the classic one')
        .choices(['3', '4', 'auto'])
        .argParser(parseProtocol)
        .default('auto'),
    )
    .addOption(
      new Option('--timeout <seconds>', 'give up when the other end is silent so long; 0: never')
        .argParser(parseSeconds)
        .default(60),
    )
    .addOption(
      new Option('--retries <times>', 'connect again so often when a connection breaks')
        .argParser(parseTimes)
        .default(5),
    )
    .addOption(
      new Option('--channels <number>', 'channels for the data on each SSH connection, or auto')
        .argParser(parseLinks)
        .default('auto'),
    )
    .addOption(
      new Option('--streams <number>', 'SSH connections for the data, or auto')
        .argParser(parseLinks)
        .default('auto'),
    )
    .addOption(
      new Option('--data-channel <kind>', 'tls: the data over TLS 1.3, keyed through SSH')
        .choices(['ssh', 'tls'])
        .default('ssh'),
    )
    .addOption(new Option('--compress', 'compress the data where both ends can (zstd)'))
    .addOption(
      new Option(
        '--skip-unchanged',
        'compare changed chunks with what they held, and send only the blocks that differ (default: large chunks, where it is faster)',
      ),
    )
    .addOption(new Option('--no-skip-unchanged', 'send changed chunks whole'))
    .addOption(
      new Option(
        '--verify-base <how>',
        'check that the target holds what the changes were made to before writing',
      )
        .choices(['sample', 'full'])
        .default('sample'),
    )
    .addOption(new Option('--no-verify-base', 'write without that check'))
    .addOption(force())
    .enablePositionalOptions()
    .helpCommand(false)
    .addHelpText(
      'after',
      '\nA volume that is named like a command is given with its group or a path: vg/rollback, ./rollback.',
    )
    .version(packageVersion(), '-V, --version')
    .addHelpText(
      'after',
      '\nlvmsync serve: a receiver for a forced command in authorized_keys; see lvmsync serve --help',
    )
    .showSuggestionAfterError()
    .configureOutput(OUTPUT);
}

function parseProtocol(text: string): 3 | 4 | 'auto' {
  if (text === 'auto') return text;
  if (text === '3' || text === '4') return text === '3' ? 3 : 4;
  throw new InvalidArgumentError('Allowed choices are 3, 4, auto.');
}

function parseFormat(text: string): 3 | 4 {
  if (text === '3' || text === '4') return text === '3' ? 3 : 4;
  throw new InvalidArgumentError('Allowed choices are 3, 4.');
}

function parseLinks(text: string): number | 'auto' {
  if (text === 'auto') return text;
  if (/^\d{1,2}$/.test(text) && Number(text) >= 1 && Number(text) <= 16) return Number(text);
  throw new InvalidArgumentError('It is a number from 1 to 16, or auto.');
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && seconds <= 86_400) return seconds;
  throw new InvalidArgumentError('It is a number of seconds, a day at the most.');
}

function parseTimes(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is a whole number, 9999 at the most.');
}
