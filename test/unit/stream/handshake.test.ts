import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHandshake } from '#lvmsync/stream/handshake.js';

function parse(text: string) {
  return parseHandshake(Buffer.from(text, 'latin1'));
}

test('when the line is whole, then it tells the protocol and how long it was', () => {
  assert.deepEqual(parse('lvmsync PROTO[3]\nrest'), { protocol: 3, lineBytes: 17 });
  assert.deepEqual(parse('lvmsync PROTO[3]\r\nrest'), { protocol: 3, lineBytes: 18 });
  assert.deepEqual(parse('lvmsync PROTO[4]\nrest'), { protocol: 4, lineBytes: 17 });
});

test('when the line is not whole yet, then more is asked for', () => {
  assert.equal(parse(''), undefined);
  assert.equal(parse('lvmsync PROTO[3]'), undefined);
});

const REFUSED = {
  'lvmsync PROTO[1]\n': /PROTO\[1\]/,
  'lvmsync PROTO[2]\n': /PROTO\[2\]/,
  'lvmsync PROTO[9]\n': /PROTO\[9\], which this lvmsync does not know/,
  'lvmsync PROTO[3] zstd\n': /unknown extension/,
  '\n': /not an lvmsync stream/,
  'bash: line 1: motd\n': /not an lvmsync stream/,
  [`lvmsync PROTO[3${'3'.repeat(100)}`]: /not an lvmsync stream/,
};

for (const [line, message] of Object.entries(REFUSED)) {
  test(`when the first line is ${JSON.stringify(line.slice(0, 24))}, then it is refused`, () => {
    assert.throws(() => parse(line), { code: 'STREAM_UNKNOWN', message });
  });
}
