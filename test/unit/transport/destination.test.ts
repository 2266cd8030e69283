import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDestination, sshHostArgument } from '#lvmsync/transport/destination.js';

const local = (path: string) => ({ kind: 'local', path });
const remote = (user: string | undefined, host: string, path: string) => ({
  kind: 'remote',
  user,
  host,
  path,
});

for (const [text, expected] of [
  ['/dev/vg/lv', local('/dev/vg/lv')],
  ['/dev/vg/a:b', local('/dev/vg/a:b')],
  ['./a:b', local('./a:b')],
  ['../a:b', local('../a:b')],
  ['dir/a:b', local('dir/a:b')],
  ['file', local('file')],
  ['host:/dev/vg/lv', remote(undefined, 'host', '/dev/vg/lv')],
  ['host:relative', remote(undefined, 'host', 'relative')],
  ['root@host:/dev/vg/lv', remote('root', 'host', '/dev/vg/lv')],
  ['a@corp.example@host:/x', remote('a@corp.example', 'host', '/x')],
  ['host:/a:b@c', remote(undefined, 'host', '/a:b@c')],
  ['10.0.0.1:x', remote(undefined, '10.0.0.1', 'x')],
  ['[::1]:/dev/x', remote(undefined, '::1', '/dev/x')],
  ['root@[fe80::1%eth0]:/dev/x', remote('root', 'fe80::1%eth0', '/dev/x')],
  ['[backup1]:/dev/x', remote(undefined, 'backup1', '/dev/x')],
] as const) {
  test(`when the destination is ${text} then it is read as it should`, () => {
    assert.deepEqual(parseDestination(text), expected);
  });
}

for (const text of [
  '',
  ':',
  ':/x',
  'host:',
  '@host:/x',
  '-oProxyCommand=x:/x',
  'root@-x:/x',
  '-l@host:/x',
  '[::1]',
  '[::1]/x',
  '[]:/x',
  '[-x]:/x',
  'ho st:/x',
  'ho\nst:/x',
]) {
  test(`when the destination is ${JSON.stringify(text)} then it is refused`, () => {
    assert.throws(() => parseDestination(text), { code: 'USAGE' });
  });
}

test('when a user is given then ssh is told user@host', () => {
  assert.equal(sshHostArgument('root', '::1'), 'root@::1');
  assert.equal(sshHostArgument(undefined, 'host'), 'host');
});
