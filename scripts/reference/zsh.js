import { commandsOf, kindOfValue, optionsOf, summaryOf } from './command-line.js';

/** A completion for zsh, in the way of its own `_arguments`. */
export function zshCompletion(program) {
  const commands = commandsOf(program);
  const described = commands.map((command) =>
    quote(`${command.name()}:${summaryOf(command).replaceAll(':', '\\:')}`),
  );
  return `#compdef lvmsync
# written by scripts/reference.js

_lvmsync_commands() {
	local -a commands=(
		${described.join('\n\t\t')}
	)
	_describe -t commands command commands
	_files
}

${commands
  .map(
    (command) => `_lvmsync_${command.name()}() {
	_arguments -s -S \\
${specs(command)}
}
`,
  )
  .join('\n')}
_lvmsync() {
	if ((CURRENT > 2)); then
		case $words[2] in
		${commands.map((command) => command.name()).join('|')})
			shift words
			((CURRENT--))
			_lvmsync_$words[1]
			return
			;;
		esac
	fi
	_arguments -s -S \\
${specs(program, "'1: :_lvmsync_commands'")}
}

_lvmsync "$@"
`;
}

function specs(command, first) {
  const options = optionsOf(command).flatMap(optionSpecs);
  const words = command.registeredArguments.map((argument, index) =>
    index === 0 && first !== undefined
      ? first
      : quote(`${argument.variadic ? '*' : index + 1}:${argument.name()}:_files`),
  );
  return [...options, ...words].map((spec) => `\t\t${spec}`).join(' \\\n');
}

function optionSpecs({ short, long, required, value, choices, description }) {
  const names = [short, long].filter((name) => name !== undefined);
  const excluded = names.length > 1 ? `(${names.join(' ')})` : '';
  return names.map((name) => {
    const equals = required && name.startsWith('--') ? '=' : '';
    const argument = required ? `:${value}:${action(choices, value)}` : '';
    return quote(`${excluded}${name}${equals}[${escapeText(description)}]${argument}`);
  });
}

function action(choices, value) {
  if (choices !== undefined) return `(${choices.join(' ')})`;
  const kind = kindOfValue(value);
  if (kind === undefined) return ' ';
  return kind === 'file' ? '_files' : '_files -/';
}

function escapeText(text) {
  return text.replaceAll(/[\\[\]:]/g, '\\$&');
}

function quote(word) {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
