import { Command, InvalidArgumentError, Option } from 'commander';
import { COMMANDS } from './command-table.js';
import type { Run } from './job.js';
import type { CliOptions } from './options.js';
import { parseKeep, parseStateAfter, parseStateBefore } from './replica-words.js';
import {
  bootstrap,
  bufferMemory,
  channels,
  compress,
  dataChannel,
  debug,
  engine,
  force,
  noSkipUnchanged,
  OUTPUT,
  queueDepth,
  quiet,
  remoteCommand,
  retries,
  rsh,
  skipUnchanged,
  sshConfig,
  stateDir,
  streams,
  timeout,
  verbose,
} from './shared-options.js';
import { packageVersion } from './version.js';

/** What a command line asks for. */
export interface Chosen {
  /** Undefined for the classic command line. */
  run: Run | undefined;
  words: string[];
  options: CliOptions;
}

/**
 * Reads a command line; help and the version are printed.
 *
 * @throws CommanderError
 */
export function parseCommandLine(argv: readonly string[]): Chosen {
  let chosen: Chosen | undefined;
  createProgram((found) => {
    chosen = found;
  }).parse(argv, { from: 'user' });
  if (chosen === undefined) throw new InvalidArgumentError('no command');
  return chosen;
}

/** The whole command line. @param onChosen told which command was given, with what */
export function createProgram(onChosen: (chosen: Chosen) => void = () => {}): Command {
  const program = classicProgram().exitOverride().configureOutput(OUTPUT);
  program.action((...words: unknown[]) => {
    onChosen({ run: undefined, words: argumentsOf(words), options: program.opts() });
  });
  for (const { define, run } of COMMANDS) {
    const command = define().exitOverride().configureOutput(OUTPUT);
    command.action((...words: unknown[]) => {
      const options = { ...program.opts<CliOptions>(), ...command.opts<Partial<CliOptions>>() };
      onChosen({ run, words: argumentsOf(words), options });
    });
    program.addCommand(command);
  }
  return program;
}

/** Commander hands over each argument, a list for the last if it may be repeated, and two of its own. */
function argumentsOf(handed: unknown[]): string[] {
  const words = handed.slice(0, -2).flat();
  return words.filter((word): word is string => typeof word === 'string');
}

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
      new Option('--answer-checks').hideHelp().conflicts(['stdout', 'snapback', 'transactional']),
    )
    .addOption(new Option('--repair').hideHelp())
    .addOption(new Option('--keep <number>').hideHelp().argParser(parseKeep))
    .addOption(new Option('--state-before <time>').hideHelp().argParser(parseStateBefore))
    .addOption(new Option('--state-after <time>').hideHelp().argParser(parseStateAfter))
    .addOption(new Option('--hold').hideHelp())
    .addOption(new Option('--create-bytes <size>').hideHelp().argParser(parseBytes))
    .addOption(new Option('--create-thinpool <pool>').hideHelp())
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
    .addOption(rsh())
    .addOption(remoteCommand())
    .addOption(bootstrap())
    .addOption(sshConfig())
    .addOption(engine().default('auto'))
    .addOption(queueDepth())
    .addOption(bufferMemory())
    .addOption(
      new Option('--protocol <protocol>', 'what to speak: 3 is the classic one')
        .choices(['3', '4', 'auto'])
        .argParser(parseProtocol)
        .default('auto'),
    )
    .addOption(timeout())
    .addOption(retries())
    .addOption(channels())
    .addOption(streams())
    .addOption(dataChannel())
    .addOption(compress())
    .addOption(skipUnchanged())
    .addOption(noSkipUnchanged())
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
    .showSuggestionAfterError();
}

function parseBytes(text: string): number {
  const bytes = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new InvalidArgumentError('It is a number of bytes.');
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
