import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { quoteWord, remoteCommandLine } from '#lvmsync/transport/remote-command.js';

test('when no word needs quotes then the line is the classic one, byte for byte', () => {
  assert.equal(
    remoteCommandLine(['lvmsync', '--apply', '-', '-v', '/dev/vg-1/a_b.c+d']),
    'lvmsync --apply - -v /dev/vg-1/a_b.c+d',
  );
});

test('when words are nasty then a real sh reads back exactly the same words', () => {
  const words = [
    '',
    ' ',
    "'",
    "''",
    '"',
    '\\',
    '\\\\',
    "a'b'c",
    '$HOME',
    '$(echo no)',
    '`echo no`',
    'a b',
    'a\nb',
    '\n',
    '\t',
    '*',
    '?',
    '[a]',
    '~',
    '~root',
    '#x',
    '!x',
    'a;b',
    'a|b',
    'a&b',
    'a>b',
    '(a)',
    '{a,b}',
    '=x',
    'a=b',
    '--x=y',
    '-',
    '--',
    'é漢😀',
    "'; echo no; '",
  ];
  for (const shell of ['sh', 'bash']) {
    const line = `printf '%s\\0' ${words.map(quoteWord).join(' ')}`;
    const printed = execFileSync(shell, ['-c', line]).toString();
    assert.deepEqual(printed.split('\0').slice(0, -1), words);
  }
});

test('when every character stands alone in a word then sh reads it back', () => {
  const words = Array.from({ length: 0x17f }, (_, code) => String.fromCharCode(code + 1));
  const line = `printf '%s\\0' ${words.map(quoteWord).join(' ')}`;
  const printed = execFileSync('sh', ['-c', line]).toString();
  assert.deepEqual(printed.split('\0').slice(0, -1), words);
});

test('when the word could be an assignment then it is quoted', () => {
  // `a=b` as the first word would set a variable and run nothing.
  const printed = execFileSync('sh', ['-c', `${quoteWord('a=b')} 2>&1 || echo "status $?"`]);
  assert.match(printed.toString(), /status 127/);
});

test('when a word holds a NUL byte then it is refused', () => {
  assert.throws(() => quoteWord('a\0b'), { code: 'USAGE' });
});

test('when a remote command is given then it stands unquoted in place of the program', () => {
  assert.equal(
    remoteCommandLine(['lvmsync', '--apply', '-', '/a b'], 'sudo /opt/x/lvmsync'),
    "sudo /opt/x/lvmsync --apply - '/a b'",
  );
});
