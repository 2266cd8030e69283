import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';

/** The version in package.json. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}

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
    .addOption(new Option('--force', 'override the refusals that can be overridden'))
    .version(packageVersion(), '-V, --version')
    .showSuggestionAfterError()
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error: /, 'FATAL ERROR: ')),
    });
}
