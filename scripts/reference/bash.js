import { commandsOf, kindOfValue, optionsOf } from './command-line.js';

/** A completion for bash; it needs nothing of the package bash-completion. */
export function bashCompletion(program) {
  const commands = commandsOf(program);
  const names = commands.map((command) => command.name());
  return `# bash completion for lvmsync; written by scripts/reference.js

_lvmsync_files() {
	compopt -o filenames
	mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
}

_lvmsync() {
	local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command=
	local options= word
	COMPREPLY=()
	case \${COMP_WORDS[1]} in
	${names.join(' | ')}) [ "$COMP_CWORD" = 1 ] || command=\${COMP_WORDS[1]} ;;
	esac
	# --option=value comes in three words.
	if [ "$previous" = = ]; then
		previous=\${COMP_WORDS[COMP_CWORD - 2]}
	elif [ "$current" = = ]; then
		current=
	fi
	case "$command $previous" in
${valueCases(program, commands)}	esac
	case $command in
${commands.map((command) => `	${command.name()}) options="${flagsOf(command)}" ;;`).join('\n')}
	*) options="${flagsOf(program)}" ;;
	esac
	case $current in
	-*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current") ;;
	*)
		_lvmsync_files -f "$current"
		if [ "$COMP_CWORD" = 1 ]; then
			for word in ${names.join(' ')}; do
				case $word in "$current"*) COMPREPLY+=("$word") ;; esac
			done
		fi
		;;
	esac
}

complete -F _lvmsync lvmsync
`;
}

function flagsOf(command) {
  return optionsOf(command)
    .flatMap(({ short, long }) => [short, long])
    .filter((flag) => flag !== undefined)
    .join(' ');
}

function valueCases(program, commands) {
  return [program, ...commands]
    .flatMap((command) => {
      const prefix = command === program ? '' : command.name();
      return optionsOf(command)
        .filter(({ required }) => required)
        .map((option) => {
          const flags = [option.short, option.long].filter((flag) => flag !== undefined);
          const patterns = flags.map((flag) => `"${prefix} ${flag}"`).join(' | ');
          return `	${patterns}) ${complete(option)}return ;;\n`;
        });
    })
    .join('');
}

function complete({ choices, value }) {
  if (choices !== undefined) {
    return `mapfile -t COMPREPLY < <(compgen -W "${choices.join(' ')}" -- "$current"); `;
  }
  const kind = kindOfValue(value);
  if (kind === undefined) return '';
  return `_lvmsync_files ${kind === 'file' ? '-f' : '-d'} "$current"; `;
}
