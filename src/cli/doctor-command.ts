import { Command, Option } from 'commander';
import {
  bootstrap,
  debug,
  engine,
  quiet,
  remoteCommand,
  rsh,
  sshConfig,
  timeout,
  verbose,
} from './shared-options.js';

/** What only `lvmsync doctor` is told. */
export interface DoctorOwnOptions {
  source?: string;
  json?: true;
  /** Of the far end: report to who asks. */
  answer?: true;
}

export function doctorCommand(): Command {
  return new Command('doctor')
    .summary('is all there that it takes, and how fast is it?')
    .description(
      'Look over this machine, another one and the way there, and say what is missing and how to mend it. Changes nothing. Exit status 3 if something would stop a run.',
    )
    .argument(
      '[where]',
      'the other end, with or without its target: [user@]host[:device]; or a device here',
    )
    .addOption(new Option('--source <device>', 'what is to be sent, to see how fast it is read'))
    .addOption(new Option('--json', 'print all of it as JSON'))
    .addOption(new Option('--answer').hideHelp())
    .addOption(rsh())
    .addOption(remoteCommand())
    .addOption(bootstrap())
    .addOption(sshConfig())
    .addOption(timeout())
    .addOption(engine())
    .addOption(verbose())
    .addOption(debug())
    .addOption(quiet());
}
