import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  knownHostsLine,
  knownHostsName,
  matchesHost,
  parseKnownHosts,
} from '#lvmsync/transport/ssh2/known-hosts.js';

let directory: string;
let encodedKey: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lvmsync-known-hosts-'));
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(directory, 'key')]);
  encodedKey = (await readFile(join(directory, 'key.pub'), 'utf8')).split(' ')[1] ?? '';
});
after(() => rm(directory, { recursive: true }));

const matching = (hosts: string, name: string) =>
  parseKnownHosts(`${hosts} ssh-ed25519 ${encodedKey}`, 'f').some((e) => matchesHost(e, name));

for (const [hosts, name, expected] of [
  ['a.example', 'a.example', true],
  ['a.example', 'b.example', false],
  ['A.Example', 'a.example', true],
  ['a.example', 'xa.example', false],
  ['a.example', 'aXexample', false],
  ['b,a.example,c', 'a.example', true],
  ['*.example', 'a.b.example', true],
  ['*.example', 'example', false],
  ['h?st', 'host', true],
  ['h?st', 'hst', false],
  ['*.example,!secret.example', 'secret.example', false],
  ['!secret.example,*.example', 'secret.example', false],
  ['*.example,!secret.example', 'open.example', true],
  ['!secret.example', 'open.example', false],
  ['[a.example]:2222', '[a.example]:2222', true],
  ['[a.example]:2222', 'a.example', false],
  ['a.example', '[a.example]:2222', false],
  ['[*.example]:*', '[a.example]:2222', true],
  ['::1', '::1', true],
  ['(a|b)+$', 'a', false],
] as const) {
  test(`when the entry is for ${hosts} then ${name} ${expected ? 'matches' : 'does not'}`, () => {
    assert.equal(matching(hosts, name), expected);
  });
}

test('when ssh-keygen has hashed a file then its names are found, and no others', async () => {
  const path = join(directory, 'hashed');
  const text = `a.example ssh-ed25519 ${encodedKey}\n[b.example]:2222 ssh-ed25519 ${encodedKey}\n`;
  await writeFile(path, text);
  execFileSync('ssh-keygen', ['-q', '-H', '-f', path], { stdio: 'ignore' });
  const entries = parseKnownHosts(await readFile(path, 'utf8'), path);
  assert.equal(entries.length, 2);
  assert.ok(entries.every((entry) => entry.hosts.startsWith('|1|')));
  const found = (name: string) => entries.filter((entry) => matchesHost(entry, name)).length;
  assert.deepEqual(
    ['a.example', '[b.example]:2222', 'b.example', 'c.example'].map(found),
    [1, 1, 0, 0],
  );
});

test('when we write a line, hashed or not, then ssh-keygen finds the host in it', async () => {
  for (const hashed of [false, true]) {
    const path = join(directory, `written-${hashed}`);
    await writeFile(
      path,
      knownHostsLine('[a.example]:2222', Buffer.from(encodedKey, 'base64'), hashed),
    );
    const printed = execFileSync('ssh-keygen', ['-F', '[a.example]:2222', '-f', path]).toString();
    assert.match(printed, /found: line 1/);
    assert.equal((await readFile(path, 'utf8')).includes('a.example'), !hashed);
  }
});

test('when lines are marked, comments, or damaged then each is read for what it is', () => {
  const text = [
    '# a comment',
    '',
    `@revoked * ssh-ed25519 ${encodedKey} stolen`,
    `@cert-authority *.example ssh-ed25519 ${encodedKey}`,
    `@unknown a ssh-ed25519 ${encodedKey}`,
    `  a\tssh-ed25519   ${encodedKey}   user@host \r`,
    'a ssh-ed25519',
    'a ssh-ed25519 AAAA',
    `a ssh-rsa ${encodedKey}`,
    'a 1024 35 1234567890',
  ].join('\n');
  assert.deepEqual(
    parseKnownHosts(text, 'f').map(({ marker, hosts, line }) => ({ marker, hosts, line })),
    [
      { marker: 'revoked', hosts: '*', line: 3 },
      { marker: 'cert-authority', hosts: '*.example', line: 4 },
      { marker: 'none', hosts: 'a', line: 6 },
    ],
  );
});

test('when a host has the usual port then its name stands alone, in lower case', () => {
  assert.equal(knownHostsName('Host', 22), 'host');
  assert.equal(knownHostsName('::1', 2222), '[::1]:2222');
});
