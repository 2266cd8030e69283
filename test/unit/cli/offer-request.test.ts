import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOfferRequest, parseOfferRequest } from '#lvmsync/cli/offer-request.js';
import { remoteCommandLine } from '#lvmsync/transport/remote-command.js';

const sources = new Map([
  ['snap', '/dev/vg/snap'],
  ['odd', "/dev/vg/it's a disk"],
]);
const strict = { sources, allowForce: false };
const lenient = { sources, allowForce: true };

const request = (...words: string[]) => remoteCommandLine(['lvmsync', '--send-to-stdio', ...words]);

test('when a receiver of ours asks for a source by name or path then it gets its path', () => {
  for (const [name, sourcePath] of [
    ...sources,
    ...[...sources.values()].map((path) => [path, path]),
  ]) {
    const command = request('all', '--protocol', '4', name!);
    assert.ok(isOfferRequest(command));
    const asked = { sourcePath, options: { sendToStdio: 'all' } };
    assert.deepEqual(parseOfferRequest(command, strict), asked);
  }
});

test('when allowed options are given then they are understood', () => {
  const switches = ['--whole', '-v', '-d', '-q', '--compress', '--skip-unchanged', '--force'];
  const values = ['--timeout', '90', '--queue-depth', '32', '--buffer-memory', '16M'];
  const base = ['--verify-base', 'full', '--data-source', 'odd', '--protocol', '4'];
  const command = request('ranges', ...switches, ...values, ...base, 'snap');
  assert.deepEqual(parseOfferRequest(command, lenient), {
    sourcePath: '/dev/vg/snap',
    options: {
      sendToStdio: 'ranges',
      whole: true,
      verbose: true,
      debug: true,
      quiet: true,
      compress: true,
      skipUnchanged: true,
      force: true,
      timeout: 90,
      queueDepth: 32,
      bufferMemory: 16 << 20,
      verifyBase: 'full',
      dataSource: "/dev/vg/it's a disk",
    },
  });
});

for (const [why, words] of Object.entries({
  'another source': ['all', '--protocol', '4', '/dev/vg/other'],
  'no source': ['all', '--protocol', '4'],
  'a name of every object': ['all', '--protocol', '4', 'constructor'],
  'another offer': ['everything', '--protocol', '4', 'snap'],
  'another data source': ['all', '--protocol', '4', '--data-source', '/dev/sda', 'snap'],
  'another protocol': ['all', '--protocol', '3', 'snap'],
  'no protocol': ['all', 'snap'],
  'an option that is not on the list': ['all', '--protocol', '4', '--state-dir', '/x', 'snap'],
  'an option twice': ['all', '--protocol', '4', '-v', '-v', 'snap'],
  'a forced one': ['all', '--protocol', '4', '--force', 'snap'],
  'a strange time': ['all', '--protocol', '4', '--timeout', '-1', 'snap'],
  'a strange check': ['all', '--protocol', '4', '--verify-base', 'none', 'snap'],
  'a strange limit': ['all', '--protocol', '4', '--queue-depth', '0', 'snap'],
})) {
  test(`when a client asks for ${why} then it is refused`, () => {
    assert.throws(() => parseOfferRequest(request(...words), strict), /lvmsync serve refuses: /);
  });
}

test('when a client has more than words to say then it is refused', () => {
  for (const more of ['; true', '$(true)', '`true`', ' | cat', '"x"', '\n']) {
    const command = `${request('all', '--protocol', '4')} snap${more}`;
    assert.throws(() => parseOfferRequest(command, strict), /lvmsync serve refuses: /);
  }
});
