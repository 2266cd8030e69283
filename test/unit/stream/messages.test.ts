import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LvmsyncError } from '#lvmsync/errors.js';
import {
  parseAccept,
  parseDurable,
  parseReceipt,
  parseReceiverHello,
  parseRefusal,
  parseSenderHello,
  parseTotals,
  refusalOf,
} from '#lvmsync/stream/messages.js';

type Value = string | number | boolean | null | Value[] | { [name: string]: Value };
type Fields = { [name: string]: Value };

const TOTALS = { records: 3, dataBytes: 12288, digest: '0123456789abcdef'.repeat(4) };

interface Message {
  parse(payload: Buffer): unknown;
  good: Fields;
}

const MESSAGES: Record<string, Message> = {
  "a sender's HELLO": {
    parse: parseSenderHello,
    good: {
      version: '1.2.3',
      run: 'one',
      capabilities: ['zstd'],
      source: {
        sizeBytes: 1 << 30,
        chunkBytes: 4096,
        id: 'a b c',
        extents: { count: 2, bytes: 8192, digest: '0123456789abcdef' },
      },
    },
  },
  "a receiver's HELLO": {
    parse: parseReceiverHello,
    good: { version: '1', capabilities: [], target: { sizeBytes: 4096, kind: 'file' } },
  },
  ACCEPT: {
    parse: parseAccept,
    good: { resume: 4096, resumeRun: 'one', startsOver: 'why', begun: true },
  },
  END: { parse: parseTotals, good: TOTALS },
  RECEIPT: { parse: parseReceipt, good: { ...TOTALS, flushed: true } },
  DURABLE: { parse: parseDurable, good: { offset: 4096 } },
  REFUSE: {
    parse: (payload) => parseRefusal(payload, 'peer').code,
    good: { code: 'TARGET_IN_USE', message: 'no', hint: 'wait' },
  },
};

/** Fields that may be left out, and one whose absence means `false`. */
const OPTIONAL = new Set(['run', 'resume', 'resumeRun', 'startsOver', 'begun', 'hint', 'flushed']);

const WRONG: Record<string, Value[]> = {
  string: [1, null, true, [], {}],
  number: ['1', null, true, [], {}, -1, 0.5, 2 ** 53, -0.1],
  boolean: [],
  array: ['zstd', 1, null, { length: 1 }],
  object: ['x', 1, null, [], true],
};

function typeOf(value: Value): string {
  return Array.isArray(value) ? 'array' : typeof value;
}

/** The message with every one of its fields, at any depth, replaced by each wrong value. */
function* malformed(good: Fields): Generator<[what: string, message: Fields]> {
  for (const [name, value] of Object.entries(good)) {
    if (!OPTIONAL.has(name)) {
      const { [name]: _, ...rest } = good;
      yield [`without ${name}`, rest];
    }
    for (const wrong of WRONG[typeOf(value)] ?? []) {
      yield [`${name} = ${JSON.stringify(wrong)}`, { ...good, [name]: wrong }];
    }
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [what, inner] of malformed(value)) {
        yield [`${name}: ${what}`, { ...good, [name]: inner }];
      }
    }
  }
}

for (const [name, { parse, good }] of Object.entries(MESSAGES)) {
  describe(name, () => {
    const payloadOf = (value: unknown) => Buffer.from(JSON.stringify(value));

    test('when it is as specified then it is read', () => {
      const parsed = parse(payloadOf(good));
      if (name !== 'REFUSE') assert.deepEqual(parsed, good);
    });

    test('when it has fields nobody knows then they are passed over', () => {
      const parsed = parse(payloadOf({ ...good, toString: 1, __proto__: null, future: { a: [] } }));
      if (name !== 'REFUSE') assert.deepEqual(parsed, good);
    });

    test('when any field is missing or malformed then it is damaged', () => {
      let count = 0;
      for (const [what, message] of malformed(good)) {
        count++;
        assert.throws(() => parse(payloadOf(message)), { code: 'STREAM_DAMAGED' }, what);
      }
      assert.ok(count > 5);
    });

    test('when it is not a JSON object then it is damaged', () => {
      const payloads = ['', '{', 'null', '[]', '"x"', '1', '\0', '{"a":1}x', '\ufeff{'];
      for (const payload of payloads) {
        assert.throws(() => parse(Buffer.from(payload)), { code: 'STREAM_DAMAGED' }, payload);
      }
      assert.throws(() => parse(Buffer.alloc(65536, '[')), { code: 'STREAM_DAMAGED' });
    });
  });
}

test('when a digest is not 64 lower-case hexadecimal digits then it is damaged', () => {
  for (const digest of [
    '',
    'a'.repeat(63),
    'a'.repeat(65),
    'A'.repeat(64),
    `${'a'.repeat(64)}\n`,
  ]) {
    const payload = Buffer.from(JSON.stringify({ ...TOTALS, digest }));
    assert.throws(() => parseTotals(payload), { code: 'STREAM_DAMAGED' }, digest);
  }
});

test('when a target is of a kind that there is not then it is damaged', () => {
  const payload = { version: '1', capabilities: [], target: { sizeBytes: 1, kind: 'tape' } };
  assert.throws(() => parseReceiverHello(Buffer.from(JSON.stringify(payload))), {
    code: 'STREAM_DAMAGED',
  });
});

test('when capabilities are unknown then they are left out', () => {
  const payload = { version: '1', capabilities: ['lz4', 1, null, 'zstd', {}] };
  const target = { sizeBytes: 1, kind: 'file' };
  const hello = parseReceiverHello(Buffer.from(JSON.stringify({ ...payload, target })));
  assert.deepEqual(hello.capabilities, ['zstd']);
});

test('when a receipt does not say it flushed then it did not', () => {
  for (const flushed of [undefined, false, 1, 'true', null]) {
    const receipt = parseReceipt(Buffer.from(JSON.stringify({ ...TOTALS, flushed })));
    assert.equal(receipt.flushed, false);
  }
});

test('when a refusal goes over the wire then code, message and hint survive', () => {
  const error = new LvmsyncError('TARGET_IN_USE', 'it is mounted', { hint: 'unmount it' });
  const told = parseRefusal(Buffer.from(JSON.stringify(refusalOf(error))), 'ssh backup');
  assert.equal(told.code, 'TARGET_IN_USE');
  assert.equal(told.exitCode, 3);
  assert.equal(told.message, 'ssh backup: it is mounted');
  assert.equal(told.hint, 'unmount it');
});

test("when a refusal's code is unknown then it is the peer's failure, never a success", () => {
  for (const code of ['FUTURE_CODE', 'toString', '__proto__', '', 'success']) {
    const told = parseRefusal(Buffer.from(JSON.stringify({ code, message: 'no' })), 'peer');
    assert.equal(told.code, 'REMOTE_FAILED');
  }
});

test('when a refusal holds control characters then none reaches the terminal', () => {
  const message = 'a\x1b[2J\r\nb\u202ec\u0000\u2028\u0085';
  const told = parseRefusal(
    Buffer.from(JSON.stringify({ code: 'INTERNAL', message, hint: message })),
    'peer',
  );
  for (const text of [told.message, told.hint ?? '']) {
    assert.doesNotMatch(text, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  }
  const long = Buffer.from(JSON.stringify({ code: 'INTERNAL', message: 'x'.repeat(60_000) }));
  assert.ok(parseRefusal(long, 'peer').message.length < 2100);
});
