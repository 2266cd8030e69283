/** The man pages and the completions are made of the command line, and say all of it. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Command } from 'commander';
import { createProgram } from '#lvmsync/cli/program.js';
import { splitWords } from '#lvmsync/transport/rsh.js';
import { mustRun, runCommand } from '../support/command.js';
import { repositoryRoot } from '../support/repository.js';

const man = join(repositoryRoot, 'dist', 'man');
const completions = join(repositoryRoot, 'dist', 'completions');

const program = createProgram();
const commands = program.createHelp().visibleCommands(program);
const pageOf = (command: Command) =>
  command === program ? 'lvmsync.1' : `lvmsync-${command.name()}.1`;

/** As `--help` has them: `-v, --verbose`. */
function flagsOf(command: Command, { hidden = false } = {}): string[] {
  if (hidden) return command.options.filter((option) => option.hidden).map(({ flags }) => flags);
  return command
    .createHelp()
    .visibleOptions(command)
    .map(({ flags }) => flags);
}

const hasProgram = (name: string) =>
  (process.env.PATH ?? '').split(':').some((directory) => existsSync(join(directory, name)));
const unless = (name: string) => (hasProgram(name) ? {} : { skip: `${name} is not installed` });

describe('man pages', () => {
  test('when there is a command then it has a page, and nothing else has one', () => {
    assert.deepEqual(readdirSync(man).sort(), [program, ...commands].map(pageOf).sort());
  });

  test(
    'when there is an option then its page has it, unless it is hidden',
    unless('man'),
    async () => {
      for (const command of [program, ...commands]) {
        const text = await mustRun('man', ['-l', join(man, pageOf(command))], {
          env: { MANWIDTH: '300', MAN_KEEP_FORMATTING: undefined, LC_ALL: 'C' },
        });
        const lines = text.split('\n').map((line) => line.trim());
        for (const flags of flagsOf(command)) {
          const term = flags.replaceAll(/<|>/g, '');
          assert.ok(
            lines.some((line) => line.startsWith(term)),
            `${pageOf(command)}: ${flags}`,
          );
        }
        for (const flags of flagsOf(command, { hidden: true })) {
          const [flag = ''] = flags.split(' ');
          assert.ok(!lines.some((line) => line.startsWith(flag)), `${pageOf(command)}: ${flags}`);
        }
        for (const title of [
          'NAME',
          'SYNOPSIS',
          'DESCRIPTION',
          'EXIT STATUS',
          'FILES',
          'SEE ALSO',
        ]) {
          assert.ok(lines.includes(title), `${pageOf(command)}: ${title}`);
        }
      }
    },
  );

  test('when man formats the pages then it has nothing to warn of', unless('man'), async () => {
    for (const page of readdirSync(man)) {
      const args = ['--warnings', '-E', 'UTF-8', '-l', join(man, page)];
      const { status, stderr } = await runCommand('man', args, { env: { MANWIDTH: '80' } });
      assert.equal(status, 0);
      assert.equal(stderr, '', page);
    }
  });

  test('when a page has an example then the command line takes it', async () => {
    const text: { EXAMPLES: Record<string, [string, string][]> } = await import(
      join(repositoryRoot, 'scripts', 'reference', 'man-text.js')
    );
    const lines = Object.values(text.EXAMPLES)
      .flat()
      .flatMap(([, line]) => line.split('\n'))
      .filter((line) => line.startsWith('lvmsync '))
      .map((line) => line.replace(/ > .*/, ''));
    assert.ok(lines.length > 0);
    for (const line of lines) {
      const chosen: unknown[] = [];
      createProgram((found) => chosen.push(found)).parse(splitWords(line).slice(1), {
        from: 'user',
      });
      assert.equal(chosen.length, 1, line);
    }
  });
});

describe('completions', () => {
  const bash = (words: string[]) => {
    const script = `
      source "$0"
      compopt() { :; }
      COMP_WORDS=(lvmsync "$@") COMP_CWORD=$#
      _lvmsync
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    return mustRun('bash', ['-c', script, join(completions, 'bash', 'lvmsync'), ...words]);
  };
  const fish = (words: string[]) => {
    const file = join(completions, 'fish', 'lvmsync.fish');
    const line = ['lvmsync', ...words].join(' ');
    return mustRun('fish', ['--no-config', '-c', `source ${file}; complete -C '${line}'`]);
  };

  for (const [shell, complete] of [
    ['bash', bash],
    ['fish', fish],
  ] as const) {
    test(
      `when ${shell} completes then commands, options and values are known`,
      unless(shell),
      async () => {
        const found = async (...words: string[]) => {
          const text = await complete(words);
          return text.split('\n').map((line) => line.split('\t')[0]);
        };
        const names = await found('');
        for (const command of commands) assert.ok(names.includes(command.name()), command.name());
        for (const command of [program, ...commands]) {
          const before = command === program ? [] : [command.name()];
          const options = await found(...before, '--');
          const longs = flagsOf(command).flatMap((flags) => /--[a-z-]+/.exec(flags) ?? []);
          assert.deepEqual(
            options.filter((option) => option?.startsWith('--')).sort(),
            longs.sort(),
            command.name(),
          );
        }
        assert.deepEqual(await found('copy', '--engine', 'n'), ['native']);
        assert.deepEqual(
          await found('--state-dir', '/et'),
          shell === 'bash' ? ['/etc'] : ['/etc/'],
        );
      },
    );
  }

  test(
    'when zsh completes then commands, options and values are known',
    unless('zsh'),
    async () => {
      const script = `
      zmodload zsh/zpty
      zpty shell zsh -f -i
      zpty -w shell "PS1=; fpath=($1 \\$fpath); autoload -Uz compinit; compinit -u -D; print READY-\\$((1+1))"
      zpty -r shell output '*READY-2*'
      zpty -w -n shell "$2"$'\\t'
      zpty -r shell output "*$3*" && print found
      zpty -d shell`;
      const cases = [
        ['lvmsync migr', 'lvmsync migrate'],
        ['lvmsync copy --eng', 'copy --engine'],
        ['lvmsync copy --engine nat', '--engine native'],
        ['lvmsync --protocol a', '--protocol auto'],
      ];
      for (const [typed = '', completed = ''] of cases) {
        const args = ['-fc', script, 'zsh', join(completions, 'zsh'), typed, completed];
        const output = await mustRun('zsh', args, { env: { TERM: 'dumb' }, timeoutMs: 60_000 });
        assert.match(output, /found$/, typed);
      }
    },
  );

  test('when a shell reads its completion then it finds no error', async () => {
    for (const [shell, file] of [
      ['bash', 'bash/lvmsync'],
      ['zsh', 'zsh/_lvmsync'],
      ['fish', 'fish/lvmsync.fish'],
    ] as const) {
      if (!hasProgram(shell)) continue;
      await mustRun(shell, ['-n', join(completions, file)]);
    }
  });
});

test('when lvmsync ends then its page says what the exit status means', () => {
  const text = readFileSync(join(man, 'lvmsync.1'), 'utf8');
  for (const status of [0, 1, 2, 3, 4, 5, 6, 7, 8, 70]) {
    assert.match(text, new RegExp(`^\\.B ${status}$`, 'm'));
  }
});
