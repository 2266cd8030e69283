import { Command, InvalidArgumentError, Option } from 'commander';
import { OFFERS } from '../index.js';
import { COMMANDS } from './command-table.js';
import type { Run } from './job.js';
import { meantCommand } from './mistyped.js';
import type { CliOptions } from './options.js';
import { parseKeep, parseStateAfter, parseStateBefore } from './replica-words.js';
import {
  bootstrap,
  bufferMemory,
  bwlimit,
  channels,
  compress,
  dataChannel,
  dataSource,
  debug,
  dryRun,
  engine,
  force,
  GROUP,
  json,
  noSkipUnchanged,
  noVerifyBase,
  OUTPUT,
  progress,
  progressFd,
  queueDepth,
  quiet,
  remoteCommand,
  retries,
  rsh,
  skipUnchanged,
  snapback,
  snapbackFormat,
  sshConfig,
  stateDir,
  streams,
  timeout,
  transactional,
  verbose,
  verifyBase,
} from './shared-options.js';
import { packageVersion } from './version.js';

/** Commands by their names alone, so that what they do fits beside them. */
const HELP = { subcommandTerm: (command: Command) => command.name() };

const EXAMPLES = `\
  lvmsync vg/before backup:/dev/vg/data         what changed since it was taken
  lvmsync copy vg/before backup:/dev/vg/data    all of it: the first copy
  lvmsync migrate vg/data backup:/dev/vg/data   both, in rounds, then cut over
  lvmsync doctor backup:/dev/vg/data            is all there that it takes?
`;

/** What a command line asks for. */
export interface Chosen {
  /** What it does; undefined for the classic command line. */
  run: Run | undefined;
  /** Its name; `sync` or `apply` for the classic command line. */
  command: string;
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
  const onChosen = (found: Chosen) => {
    chosen = found;
  };
  // Help lists all commands; else those that are not named cannot be meant.
  const mayAskForHelp = argv.some((word) => /^-(\w*h|-help)/.test(word));
  const program = createProgram(onChosen, mayAskForHelp ? undefined : new Set(argv));
  if (argv.length === 0) program.error(`error: no snapshot given, for example:\n${EXAMPLES}`);
  program.parse(argv, { from: 'user' });
  if (chosen === undefined) throw new InvalidArgumentError('no command');
  return chosen;
}

/**
 * The whole command line.
 *
 * @param onChosen told which command was given, with what
 * @param wanted only these commands; to define all of them takes milliseconds
 */
export function createProgram(
  onChosen: (chosen: Chosen) => void = () => {},
  wanted?: ReadonlySet<string>,
): Command {
  const program = classicProgram().exitOverride().configureOutput(OUTPUT);
  const commands = COMMANDS.map(({ name }) => name);
  program.action(() => {
    const words = program.args;
    const meant = meantCommand(words[0], commands);
    if (meant !== undefined) {
      program.error(`error: there is no command "${words[0]}"\n  did you mean: lvmsync ${meant}`);
    }
    const options = program.opts<CliOptions>();
    const command = options.apply !== undefined || options.server ? 'apply' : 'sync';
    onChosen({ command, run: undefined, words, options });
  });
  for (const { name, define, run } of COMMANDS) {
    if (wanted?.has(name) === false) continue;
    const command = define().exitOverride().configureOutput(OUTPUT);
    command.showHelpAfterError(`  see ${helpOf(name)}`).configureHelp(HELP);
    command.action((...words: unknown[]) => {
      const options = { ...program.opts<CliOptions>(), ...command.opts<Partial<CliOptions>>() };
      if (options.dryRun && !command.options.some(({ long }) => long === '--dry-run')) {
        command.error(`error: lvmsync ${name} has no --dry-run`);
      }
      onChosen({ command: name, run, words: argumentsOf(words), options });
    });
    program.addCommand(command);
  }
  return program;
}

/** What describes a command line. @param command undefined for the classic one */
export function helpOf(command: string | undefined): string {
  return ['lvmsync', command, '--help'].filter((word) => word !== undefined).join(' ');
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
    .addOption(dryRun())
    .addOption(snapback())
    .addOption(snapbackFormat())
    .addOption(transactional())
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
    .addOption(
      new Option('--send-to-stdio <offer>')
        .choices([...OFFERS])
        .hideHelp()
        .conflicts(['apply', 'server', 'stdout']),
    )
    .addOption(new Option('--whole').hideHelp())
    .addOption(new Option('--create-bytes <size>').hideHelp().argParser(parseBytes))
    .addOption(new Option('--create-thinpool <pool>').hideHelp())
    .addOption(
      new Option('-s, --stdout', 'write the stream to standard output').conflicts([
        'apply',
        'snapback',
      ]),
    )
    .addOption(dataSource())
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
        .default('auto')
        .helpGroup(GROUP.host),
    )
    .addOption(timeout())
    .addOption(retries())
    .addOption(channels())
    .addOption(streams())
    .addOption(dataChannel())
    .addOption(compress())
    .addOption(skipUnchanged())
    .addOption(noSkipUnchanged())
    .addOption(verifyBase())
    .addOption(noVerifyBase())
    .addOption(force())
    .addOption(bwlimit())
    .addOption(progress())
    .addOption(progressFd())
    .addOption(json().conflicts('stdout'))
    .enablePositionalOptions()
    .allowExcessArguments()
    .showHelpAfterError(`  see ${helpOf(undefined)}`)
    .helpCommand(false)
    .usage('[options] SNAPSHOT [[user@]host:]TARGET\n       lvmsync COMMAND ...')
    .configureHelp(HELP)
    .addHelpText('before', EXAMPLES)
    .addHelpText(
      'after',
      '\nlvmsync COMMAND --help says more. A volume that is named like a command is\ngiven with its group or a path: vg/rollback, ./rollback.',
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
