/** PROTO[4] streams whose checksums are right and whose records are not, and ends that lie. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeMessage } from '#lvmsync/stream/message-encoder.js';
import { RECORD } from '#lvmsync/stream/proto4.js';
import { editRecords, mangleStream, type Passage, type WireRecord } from './interference.js';
import { type Expectation, type Kind, kind, type RunOptions, tryFault } from './kinds.js';
import { editMessage, forgeData, forgeRecord } from './records.js';
import { createScene } from './scene.js';

const scene = createScene(5);
const KINDS = [kind('file', 4), kind('pipe', 4), kind('rsh', 4)];
const RSH = kind('rsh', 4);
const INTEGRITY = 7;

interface Forgery {
  fault: string;
  /** What becomes of each record. */
  edit: () => (record: WireRecord) => Buffer[];
  expected: Expectation;
}

const REFUSED = { sender: [INTEGRITY, 5], receiver: [INTEGRITY] };
const SUCCEEDS: Expectation = { succeeds: true };

const isBulk = ({ type }: WireRecord) => type === RECORD.data || type === RECORD.zero;

/** Makes something else of the first record of a type, and leaves the others. */
function first(type: number, make: (record: Buffer) => Buffer[]): Forgery['edit'] {
  return () => (record) =>
    record.type === type && record.nth === 0 ? make(record.bytes) : [record.bytes];
}

/** Sends the bulk records in another order. */
function reordered(): (record: WireRecord) => Buffer[] {
  const held: Buffer[] = [];
  return (record) => {
    if (isBulk(record)) {
      held.push(record.bytes);
      return [];
    }
    if (record.type !== RECORD.end) return [record.bytes];
    return [...held.reverse(), record.bytes];
  };
}

const FORGERIES: Forgery[] = [
  { fault: 'records reordered', edit: reordered, expected: SUCCEEDS },
  ...[RECORD.data, RECORD.zero].map((type): Forgery => {
    return {
      fault: `a record of type ${type} duplicated`,
      edit: first(type, (record) => [record, record]),
      expected: { ...REFUSED, message: /not what was sent|overlap|twice/ },
    };
  }),
  ...[RECORD.data, RECORD.zero].map((type): Forgery => {
    return {
      fault: `a record of type ${type} dropped`,
      edit: first(type, () => []),
      expected: { ...REFUSED, message: /not what was sent/ },
    };
  }),
  {
    fault: 'END dropped',
    edit: first(RECORD.end, () => []),
    expected: { sender: [INTEGRITY, 4, 5], receiver: [INTEGRITY, 4], message: /ends|nothing came/ },
  },
  {
    fault: 'HELLO dropped',
    edit: first(RECORD.hello, () => []),
    expected: { ...REFUSED, message: /hello/, target: ['base'] },
  },
  {
    fault: 'HELLO duplicated',
    edit: first(RECORD.hello, (record) => [record, record]),
    expected: { ...REFUSED, message: /does not send/, target: ['base'] },
  },
  {
    fault: 'data beyond the end of the target',
    edit: first(RECORD.end, (end) => [
      forgeData(RECORD.data, scene.base.length - 512, Buffer.alloc(1024, 7)),
      end,
    ]),
    expected: { ...REFUSED, message: /beyond the target/ },
  },
  {
    fault: 'data at the far end of 64 bits',
    edit: first(RECORD.end, (end) => [
      forgeData(RECORD.data, 2 ** 53 - 512, Buffer.alloc(512, 7)),
      end,
    ]),
    expected: { ...REFUSED, message: /beyond the/ },
  },
  {
    fault: 'a zero record as long as 4 GiB',
    edit: first(RECORD.end, (end) => [
      forgeData(RECORD.zero, 0, Buffer.alloc(0), 0xffff_fe00),
      end,
    ]),
    expected: { ...REFUSED, message: /beyond the target/ },
  },
  {
    fault: 'a hello from the future',
    edit: first(RECORD.hello, (record) => [
      editMessage(record, (hello) => ({
        ...hello,
        version: '99.0.0-next',
        capabilities: ['zstd', 'teleport'],
        mood: { colour: 'green' },
      })),
    ]),
    expected: SUCCEEDS,
  },
  {
    fault: 'a hello that is not JSON',
    edit: first(RECORD.hello, () => [
      forgeRecord({ type: RECORD.hello }, undefined, Buffer.from('{"version":')),
    ]),
    expected: { ...REFUSED, target: ['base'] },
  },
  {
    fault: 'a hello of a source larger than the target',
    edit: first(RECORD.hello, (record) => [
      editMessage(record, (hello) => ({
        ...hello,
        source: { ...(hello.source as object), sizeBytes: 2 ** 40 },
      })),
    ]),
    expected: { sender: [3], receiver: [3], message: /has .* bytes/, target: ['base'] },
  },
  {
    fault: 'an unknown critical record',
    edit: first(RECORD.end, (end) => [forgeRecord({ type: 77 }), end]),
    expected: { ...REFUSED, message: /unknown type 77/ },
  },
  {
    fault: 'an unknown skippable record',
    edit: first(RECORD.end, (end) => [
      forgeRecord({ type: 200, encoding: 9 }, Buffer.alloc(64, 255), Buffer.alloc(70_000, 5)),
      end,
    ]),
    expected: SUCCEEDS,
  },
  {
    fault: "a receiver's record from the sender",
    edit: first(RECORD.end, (end) => [encodeMessage(RECORD.accept, {}), end]),
    expected: { ...REFUSED, message: /does not send/ },
  },
  {
    fault: 'END that counts one record more',
    edit: first(RECORD.end, (record) => [
      editMessage(record, (end) => ({ ...end, records: Number(end.records) + 1 })),
    ]),
    expected: { ...REFUSED, message: /not what was sent/ },
  },
  {
    fault: 'END with another digest',
    edit: first(RECORD.end, (record) => [
      editMessage(record, (end) => ({ ...end, digest: '0'.repeat(64) })),
    ]),
    expected: { ...REFUSED, message: /digests differ/ },
  },
  {
    fault: 'END at once',
    edit: () => (record) => (isBulk(record) ? [] : [record.bytes]),
    expected: { ...REFUSED, message: /not what was sent/, target: ['base'] },
  },
];

function upwards(kind: Kind, passage: () => Passage): RunOptions {
  if (kind.way === 'file') return { mangle: (stream) => mangleStream(stream, passage()) };
  return { fault: { up: passage() } };
}

for (const kind of KINDS) {
  test(`when the records of a ${kind.name} stream are forged then none passes for another`, async () => {
    for (const { fault, edit, expected } of FORGERIES) {
      const row = await tryFault(
        scene,
        kind,
        fault,
        upwards(kind, () => editRecords(edit())),
        expected,
      );
      if (!expected.succeeds) assert.notEqual(row.outcome, 'succeeded', JSON.stringify(row));
      if (kind.way === 'file' && !expected.succeeds) assert.equal(row.target, 'base', fault);
    }
  });
}

const LIES: Forgery[] = [
  ...(
    [
      ['another digest', { digest: '0'.repeat(64) }],
      ['one record less', { records: 1 }],
      ['other bytes', { dataBytes: 1 }],
      ['no flush', { flushed: false }],
    ] as const
  ).map(([what, change]): Forgery => {
    return {
      fault: `a receipt with ${what}`,
      edit: first(RECORD.receipt, (record) => [
        editMessage(record, (receipt) => ({ ...receipt, ...change })),
      ]),
      expected: { sender: [INTEGRITY], message: /acknowledged something else/ },
    };
  }),
  {
    fault: 'a receipt before anything was sent',
    edit: first(RECORD.accept, (record) => [
      record,
      encodeMessage(RECORD.receipt, {
        records: 1,
        dataBytes: 4096,
        digest: '0'.repeat(64),
        flushed: true,
      }),
    ]),
    expected: { sender: [INTEGRITY], message: /not asked|before it was over/, target: ['base'] },
  },
  {
    fault: 'no receipt',
    edit: first(RECORD.receipt, () => []),
    expected: { sender: [4], message: /without a receipt/ },
  },
  {
    fault: 'an answer that was not asked',
    edit: first(RECORD.accept, (record) => [record, record]),
    expected: { sender: [INTEGRITY], message: /not asked|before it was over/ },
  },
  {
    fault: 'answers to checks that were not asked',
    edit: first(RECORD.accept, (record) => [
      record,
      ...Array.from({ length: 12 }, () => forgeRecord({ type: RECORD.checked })),
    ]),
    expected: { sender: [INTEGRITY], message: /not asked|before it was over/ },
  },
  {
    fault: 'an acceptance with a made-up resume position',
    edit: first(RECORD.accept, () => [encodeMessage(RECORD.accept, { resume: 2 ** 52 })]),
    expected: { sender: [INTEGRITY] },
  },
  {
    fault: "a receiver's hello from the future",
    edit: first(RECORD.hello, (record) => [
      editMessage(record, (hello) => ({
        ...hello,
        version: '99.0.0-next',
        capabilities: ['zstd', 'teleport'],
        mood: 'green',
      })),
    ]),
    expected: SUCCEEDS,
  },
  {
    fault: 'an unknown critical answer',
    edit: first(RECORD.accept, (record) => [record, forgeRecord({ type: 77 })]),
    expected: { sender: [INTEGRITY], message: /unknown type 77/ },
  },
  {
    fault: 'an unknown skippable answer',
    edit: first(RECORD.accept, (record) => [
      record,
      forgeRecord({ type: 200 }, undefined, Buffer.alloc(70_000, 5)),
    ]),
    expected: SUCCEEDS,
  },
  {
    fault: "a sender's record from the receiver",
    edit: first(RECORD.accept, (record) => [record, forgeData(RECORD.data, 0, Buffer.alloc(512))]),
    expected: { sender: [INTEGRITY], message: /not asked|before it was over/ },
  },
  {
    fault: 'a refusal that plays with the terminal',
    edit: first(RECORD.accept, () => [
      encodeMessage(RECORD.refuse, {
        code: 'TARGET_IN_USE',
        message: '\u001b[2Jall is well\nreally',
      }),
    ]),
    expected: { sender: [3], message: /all is well/, target: ['base'] },
  },
];

test('when a receiver lies then the sender does not believe it', async () => {
  for (const { fault, edit, expected } of LIES) {
    const row = await tryFault(
      scene,
      RSH,
      fault,
      { fault: { down: editRecords(edit()) } },
      expected,
    );
    if (expected.succeeds || fault.includes('resume')) continue;
    assert.notEqual(row.outcome, 'succeeded', JSON.stringify(row));
    assert.ok(!row.message.includes('\u001b'), 'what the other end says is made harmless');
  }
});
