import { EXIT } from '../../dist/index.js';
import { commandsOf, optionsOf, summaryOf } from './command-line.js';
import { EXAMPLES, EXIT_MEANINGS, FILES, NOTES } from './man-text.js';

/** One page for the program and one for each command: `{ name, text }`. */
export function manPages(program) {
  const commands = commandsOf(program);
  const names = ['lvmsync', ...commands.map((command) => `lvmsync-${command.name()}`)];
  const version = program.version();
  return [program, ...commands].map((command, index) => ({
    name: names[index],
    text: manPage(command, command === program ? commands : [], names[index], names, version),
  }));
}

function manPage(command, commands, name, names, version) {
  const examples = EXAMPLES[command.name()] ?? [];
  return [
    `.\\" Written by scripts/reference.js from the definition of the command line.`,
    `.TH ${name.toUpperCase()} 1 "" "lvmsync ${version}" "lvmsync"`,
    // Flush left: justified lines and split words are hard to read in a terminal.
    '.nh',
    '.ad l',
    '.SH NAME',
    `${roff(name)} \\- ${roff(lowerFirst(summaryOf(command)).replace(/\.$/, ''))}`,
    '.SH SYNOPSIS',
    ...synopsis(command),
    '.SH DESCRIPTION',
    ...paragraphs([command.description(), ...(NOTES[command.name()] ?? [])]),
    ...section(
      '.SH ARGUMENTS',
      command.registeredArguments.map((argument) => [
        `.I ${roff(argument.name())}`,
        argument.description,
      ]),
    ),
    ...section(
      '.SH COMMANDS',
      commands.map((each) => [`.BR ${roff(`lvmsync-${each.name()}`)} (1)`, summaryOf(each)]),
    ),
    ...options(command),
    ...section('.SH EXIT STATUS', exitStatuses()),
    ...section(
      '.SH FILES',
      FILES.map(([path, meaning]) => [`.I ${roff(path)}`, meaning]),
    ),
    ...(examples.length > 0 ? ['.SH EXAMPLES'] : []),
    ...examples.flatMap(([meaning, line]) => [
      '.PP',
      roff(meaning),
      '.PP',
      '.nf',
      `.RS 4`,
      ...line.split('\n').map(roff),
      '.RE',
      '.fi',
    ]),
    '.SH SEE ALSO',
    `${[
      ...names.filter((each) => each !== name).map((each) => [each, 1]),
      ['lvs', 8],
      ['dmsetup', 8],
      ['ssh_config', 5],
    ]
      .map(([page, chapter]) => `.BR ${roff(page)} (${chapter})`)
      .join(' ,\n')}`,
    '',
  ].join('\n');
}

function synopsis(command) {
  const lines = command.createHelp().commandUsage(command).split('\n');
  return ['.nf', ...lines.map((line) => roff(line.trim())), '.fi'];
}

/** Those of no group first, the others under their headings, as in `--help`. */
function options(command) {
  const groups = new Map([[undefined, []]]);
  for (const { flags, help, group } of optionsOf(command)) {
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push([boldFlags(flags), help]);
  }
  return [...groups].flatMap(([heading, entries]) =>
    heading === undefined
      ? section('.SH OPTIONS', entries)
      : section(`.SS ${roff(heading.replace(/:$/, ''))}`, entries),
  );
}

function section(title, entries) {
  if (entries.length === 0) return [];
  return [title, ...entries.flatMap(([term, text]) => ['.TP', term, roff(text)])];
}

function paragraphs(texts) {
  return texts.flatMap((text, index) => [...(index > 0 ? ['.PP'] : []), roff(text)]);
}

/** Names in bold, values in italics. */
function boldFlags(flags) {
  return flags
    .split(/(<[^>]+>|\[[^\]]+\]|, )/)
    .filter((part) => part !== '')
    .map((part) => {
      if (part === ', ') return part;
      if (part.startsWith('<')) return `\\fI${roff(part.slice(1, -1))}\\fR`;
      if (part.startsWith('[')) return `[\\fI${roff(part.slice(1, -1))}\\fR]`;
      return `\\fB${roff(part)}\\fR`;
    })
    .join('');
}

function exitStatuses() {
  return Object.entries(EXIT).map(([name, status]) => {
    const meaning = EXIT_MEANINGS[name];
    if (meaning === undefined) throw new Error(`no meaning for the exit status "${name}"`);
    return [`.B ${status}`, meaning];
  });
}

/** Text as roff(7) prints it literally. */
function roff(text) {
  const escaped = text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll("'", '\\(aq');
  return escaped.replace(/^[.']/gm, '\\&$&');
}

function lowerFirst(text) {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
