import { commandsOf, kindOfValue, optionsOf, summaryOf } from './command-line.js';

/** A completion for fish. Files are offered wherever nothing else is known. */
export function fishCompletion(program) {
  const commands = commandsOf(program);
  const names = commands.map((command) => command.name()).join(' ');
  const lines = commands.map((command) => {
    const summary = quote(summaryOf(command));
    return `complete -c lvmsync -n __fish_is_first_arg -a ${command.name()} -d ${summary}`;
  });
  for (const command of [program, ...commands]) {
    const seen = `__fish_seen_subcommand_from ${command === program ? names : command.name()}`;
    const condition = command === program ? `not ${seen}` : seen;
    for (const option of optionsOf(command)) {
      lines.push(`complete -c lvmsync -n ${quote(condition)} ${optionWords(option)}`);
    }
  }
  return `# fish completion for lvmsync; written by scripts/reference.js\n${lines.join('\n')}\n`;
}

function optionWords({ short, long, required, value, choices, description }) {
  const words = [];
  if (short !== undefined) words.push(`-s ${short.slice(1)}`);
  if (long !== undefined) words.push(`-l ${long.slice(2)}`);
  if (choices !== undefined) words.push(`-x -a ${quote(choices.join(' '))}`);
  else if (required) words.push(valueWords(value));
  words.push(`-d ${quote(description)}`);
  return words.join(' ');
}

function valueWords(value) {
  const kind = kindOfValue(value);
  if (kind === 'file') return '-r -F';
  return kind === 'directory' ? "-x -a '(__fish_complete_directories)'" : '-x';
}

function quote(word) {
  return `'${word.replaceAll(/['\\]/g, '\\$&')}'`;
}
