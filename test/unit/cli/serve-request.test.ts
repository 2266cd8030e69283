import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseServeRequest } from '#lvmsync/cli/serve-request.js';
import { remoteCommandLine } from '#lvmsync/transport/remote-command.js';

const targets = new Map([
  ['data', '/dev/vg/data'],
  ['odd', "/dev/vg/it's a disk"],
]);
const strict = { targets, allowSnapback: false, allowForce: false };
const lenient = { targets, allowSnapback: true, allowForce: true };

const request = (...words: string[]) => remoteCommandLine(['lvmsync', '--apply', '-', ...words]);

test('when a sender of ours asks for a target by name or path then it gets its path', () => {
  for (const [name, targetPath] of [
    ...targets,
    ...[...targets.values()].map((path) => [path, path]),
  ]) {
    assert.deepEqual(parseServeRequest(request('--protocol', '4', name!), strict), { targetPath });
  }
});

test('when allowed options are given then they are understood', () => {
  const words = [
    '--snapback',
    'a-1.snap',
    '-v',
    '-d',
    '--force',
    '--protocol',
    '4',
    '--timeout',
    '90',
    '--snapback-format',
    '3',
    '--transactional',
    '--queue-depth',
    '32',
    '--buffer-memory',
    '16M',
  ];
  assert.deepEqual(parseServeRequest(request(...words, 'data'), lenient), {
    targetPath: '/dev/vg/data',
    snapbackName: 'a-1.snap',
    verbose: true,
    debug: true,
    force: true,
    timeout: 90,
    snapbackFormat: 3,
    transactional: true,
    queueDepth: 32,
    bufferMemory: 16 << 20,
  });
});

test('when a sender replicates then that is understood', () => {
  const times = ['--state-before', '2026-01-30T12:00:00Z', '--state-after', '2026-01-31T12:00:00Z'];
  const words = ['--protocol', '4', '--transactional', '--hold', '--keep', '1000', ...times];
  assert.deepEqual(parseServeRequest(request(...words, 'data'), strict), {
    targetPath: '/dev/vg/data',
    transactional: true,
    hold: true,
    keep: 1000,
    stateBefore: '2026-01-30T12:00:00.000Z',
    stateAfter: '2026-01-31T12:00:00.000Z',
  });
});

test('when a sender asks what the target holds then that needs no permission of its own', () => {
  const words = ['--answer-checks', '--repair', '--protocol', '4', 'data'];
  assert.deepEqual(parseServeRequest(request(...words), strict), {
    targetPath: '/dev/vg/data',
    answerChecks: true,
    repair: true,
  });
});

const REFUSED: string[] = [
  'lvmsync --apply - --protocol 4 --queue-depth 1025 data',
  'lvmsync --apply - --protocol 4 --queue-depth -1 data',
  'lvmsync --apply - --protocol 4 --buffer-memory 257M data',
  'lvmsync --apply - --protocol 4 --buffer-memory data',
  '',
  ' ',
  'id',
  'lvmsync',
  'lvmsync --version',
  'lvmsync --apply - data',
  'lvmsync --apply - --protocol 3 data',
  'lvmsync --apply - --protocol auto data',
  'lvmsync --apply - --protocol 4',
  'lvmsync --apply - --protocol 4 --protocol 4 data',
  'lvmsync --apply /etc/shadow --protocol 4 data',
  'lvmsync --server --protocol 4 data',
  'sudo lvmsync --apply - --protocol 4 data',
  './lvmsync --apply - --protocol 4 data',
  'lvmsync --apply - --protocol 4 data; id',
  'lvmsync --apply - --protocol 4 data;id',
  'lvmsync --apply - --protocol 4 data && id',
  'lvmsync --apply - --protocol 4 data | id',
  'lvmsync --apply - --protocol 4 data\nid',
  'lvmsync --apply - --protocol 4 data\tid',
  'lvmsync --apply - --protocol 4 $(id)',
  'lvmsync --apply - --protocol 4 `id`',
  'lvmsync --apply - --protocol 4 data > /etc/passwd',
  'lvmsync --apply - --protocol 4 "data"',
  "lvmsync --apply - --protocol 4 'data",
  "lvmsync --apply - --protocol 4 'data\0'",
  'lvmsync --apply - --protocol 4 dat\\a',
  'lvmsync --apply - --protocol 4 /dev/vg/other',
  'lvmsync --apply - --protocol 4 /dev/vg/../vg/data',
  'lvmsync --apply - --protocol 4 /dev/vg/data/',
  'lvmsync --apply - --protocol 4 ../data',
  'lvmsync --apply - --protocol 4 DATA',
  'lvmsync --apply - --protocol 4 constructor',
  "lvmsync --apply - --protocol 4 ''",
  'lvmsync --apply - --protocol 4 data data',
  'lvmsync --apply - --protocol 4 data /dev/vg/other',
  'lvmsync --apply - --protocol 4 --keep 3 data',
  'lvmsync --apply - --protocol 4 --state-after 2026-01-31T12:00:00Z data',
  'lvmsync --apply - --protocol 4 --keep 1001 --state-after 2026-01-31T12:00:00Z data',
  'lvmsync --apply - --protocol 4 --keep -1 --state-after 2026-01-31T12:00:00Z data',
  'lvmsync --apply - --protocol 4 --keep 3 --state-after any data',
  'lvmsync --apply - --protocol 4 --keep 3 --state-after 2026-02-30T12:00:00Z data',
  'lvmsync --apply - --protocol 4 --keep 3 --state-after 2026-01-31 --state-before ../x data',
  'lvmsync --apply - --protocol 4 --force data',
  'lvmsync --apply - --protocol 4 --snapback x data',
  'lvmsync --apply - --protocol 4 -b x data',
  'lvmsync --apply - --protocol 4 -vd data',
  'lvmsync --apply - --protocol 4 -v -v data',
  'lvmsync --apply - --protocol=4 data',
  'lvmsync --apply - --protocol 4 --engine js data',
  'lvmsync --apply - --protocol 4 -- data',
  'lvmsync --apply - --protocol 4 --timeout data',
  'lvmsync --apply - --protocol 4 --timeout -1 data',
  'lvmsync --apply - --protocol 4 --timeout 1e9 data',
  'lvmsync --apply - --protocol 4 --timeout 86401 data',
  `lvmsync --apply - --protocol 4 ${'-v '.repeat(2000)}data`,
];

for (const command of REFUSED) {
  test(`when the command is ${JSON.stringify(command.slice(0, 70))} then it is refused`, () => {
    assert.throws(() => parseServeRequest(command, strict), { code: 'TARGET_UNSUITABLE' });
  });
}

for (const name of [
  '/tmp/x',
  '../x',
  'a/b',
  '.',
  '..',
  '.hidden',
  '',
  '-x',
  'a\nb',
  'x'.repeat(129),
]) {
  test(`when a snapback is to be called ${JSON.stringify(name.slice(0, 20))} then it is refused`, () => {
    const command = request('--snapback', name, '--protocol', '4', 'data');
    assert.throws(() => parseServeRequest(command, lenient), { code: 'TARGET_UNSUITABLE' });
  });
}
