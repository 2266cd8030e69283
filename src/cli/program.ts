import { Command, InvalidArgumentError, Option } from 'commander';
import { copyCommand } from './copy-command.js';
import { migrateCommand } from './migrate-command.js';
import type { CliOptions, MigrateCliOptions } from './options.js';
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
import { verifyCommand } from './verify-command.js';
import { packageVersion } from './version.js';

/** Which command a command line is for. */
export interface Chosen {
  command: 'classic' | 'rollback' | 'copy' | 'migrate' | 'verify';
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
  const copy = copyCommand().exitOverride();
  copy.action((source: string, target: string) => {
    const options = { ...program.opts<CliOptions>(), ...copy.opts<Partial<CliOptions>>() };
    chosen = { command: 'copy', words: [source, target], options };
  });
  program.addCommand(copy);
  const migrate = migrateCommand().exitOverride();
  migrate.action((origin: string, target: string | undefined) => {
    const migration = migrate.opts<MigrateCliOptions>();
    // Its --verify is not a receiver's.
    const { verify: _, ...shared } = migrate.opts<Partial<CliOptions>>();
    const options = { ...program.opts<CliOptions>(), ...shared, migration };
    chosen = { command: 'migrate', words: [origin, target], options };
  });
  program.addCommand(migrate);
  const verify = verifyCommand().exitOverride();
  verify.action((source: string, target: string) => {
    const options = { ...program.opts<CliOptions>(), ...verify.opts<Partial<CliOptions>>() };
    chosen = { command: 'verify', words: [source, target], options };
  });
  program.addCommand(verify);
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
    .addOption(new Option('--verify').hideHelp().conflicts(['stdout', 'snapback', 'transactional']))
    .addOption(new Option('--repair').hideHelp())
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
    .addHelpText(
      'after',
      '\nlvmsync serve: a receiver for a forced command in authorized_keys; see lvmsync serve --help',
    )
    .showSuggestionAfterError()
    .configureOutput(OUTPUT);
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
