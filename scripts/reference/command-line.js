/** What a command line consists of, as the man pages and the completions need it. */

/**
 * @param {import('commander').Command} command
 * @returns the options that `--help` shows, with `short` and `long` undefined where there is none
 */
export function optionsOf(command) {
  return command
    .createHelp()
    .visibleOptions(command)
    .map((option) => {
      const { flags, short, long, required, optional, description } = option;
      const { argChoices: choices, helpGroupHeading: group } = option;
      const [, value] = /[<[]([^>\]]+)[>\]]/.exec(flags) ?? [];
      const help = command.createHelp().optionDescription(option);
      return { flags, short, long, required, optional, value, description, choices, group, help };
    });
}

/** The commands that `--help` shows. */
export function commandsOf(program) {
  return program.createHelp().visibleCommands(program);
}

/** In a few words. */
export function summaryOf(command) {
  return command.summary() || command.description().split(/(?<=\.) /)[0];
}

/** What completes a value that is called so. @returns {'file' | 'directory' | undefined} */
export function kindOfValue(name) {
  if (/^(file|device|store|snapshot|snapback|source|target|destination|origin)$/.test(name)) {
    return 'file';
  }
  return name === 'directory' ? 'directory' : undefined;
}
