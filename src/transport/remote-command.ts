import { LvmsyncError } from '../errors.js';

/** Characters no POSIX shell gives a meaning to, wherever they stand in a word (`=` assigns). */
const PLAIN_WORD = /^[A-Za-z0-9_@%+:,./-]+$/;

/**
 * One word for a POSIX shell (XCU 2.2.2, single quotes). A word that needs no quotes gets none,
 * so that `lvmsync --apply - /dev/vg/lv` looks on the wire as the classic tool sends it.
 * @throws LvmsyncError USAGE for a NUL byte, which no command line can carry
 */
export function quoteWord(word: string): string {
  if (word.includes('\0')) {
    throw new LvmsyncError('USAGE', 'a word of the remote command holds a NUL byte', {
      hint: 'check the paths given on the command line',
    });
  }
  if (PLAIN_WORD.test(word)) return word;
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/**
 * The command line the remote shell runs: `argv`, each word quoted. `remoteCommand`, when given,
 * stands in for `argv[0]` as it is, unquoted, so that `sudo lvmsync` means two words.
 */
export function remoteCommandLine(argv: readonly string[], remoteCommand?: string): string {
  const [program, ...rest] = argv;
  if (program === undefined) throw new LvmsyncError('INTERNAL', 'an empty remote command');
  return [remoteCommand ?? quoteWord(program), ...rest.map(quoteWord)].join(' ');
}
