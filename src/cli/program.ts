import { Command, InvalidArgumentError, Option } from 'commander';
import { packageVersion } from './version.js';

/** The command line as commander sees it; nothing is run here. */
export function createProgram(): Command {
  return new Command('lvmsync')
    .description("Send the changed blocks of an LVM snapshot onto another machine's block device.")
    .argument('[source]', 'the snapshot (or, with --apply, the target)')
    .argument('[destination]', 'where the changes go: [[user@]host:]device')
    .addOption(new Option('-v, --verbose', 'say what is done'))
    .addOption(new Option('-d, --debug', 'say it in detail'))
    .addOption(new Option('-q, --quiet', 'print errors only').conflicts(['verbose', 'debug']))
    .addOption(
      new Option('-b, --snapback <file>', 'save what is overwritten, on the receiving side'),
    )
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
    .addOption(
      new Option('--engine <engine>', 'what does the block I/O')
        .choices(['auto', 'native', 'js'])
        .default('auto'),
    )
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
    .addOption(new Option('--compress', 'compress the data where both ends can (zstd)'))
    .addOption(
      new Option(
        '--verify-base <how>',
        'check that the target holds what the changes were made to before writing',
      )
        .choices(['sample', 'full'])
        .default('sample'),
    )
    .addOption(new Option('--no-verify-base', 'write without that check'))
    .addOption(new Option('--force', 'override the refusals that can be overridden'))
    .version(packageVersion(), '-V, --version')
    .addHelpText(
      'after',
      '\nlvmsync serve: a receiver for a forced command in authorized_keys; see lvmsync serve --help',
    )
    .showSuggestionAfterError()
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'FATAL ERROR: ')),
    });
}

function parseProtocol(text: string): 3 | 4 | 'auto' {
  if (text === 'auto') return text;
  if (text === '3' || text === '4') return text === '3' ? 3 : 4;
  throw new InvalidArgumentError('Allowed choices are 3, 4, auto.');
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && seconds <= 86_400) return seconds;
  throw new InvalidArgumentError('It is a number of seconds, a day at the most.');
}
