/** PROTO[4] streams that are cut or changed on their way, in both directions and in files. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORD } from '#lvmsync/stream/proto4.js';
import { createRandom } from '../support/random.js';
import {
  editRecords,
  flipBit,
  mangleStream,
  type Passage,
  type WireRecord,
} from './interference.js';
import {
  type Expectation,
  type Kind,
  kind,
  type RunOptions,
  storedStream,
  tryFault,
} from './kinds.js';
import type { Link } from './link.js';
import { faultPoints } from './matrix.js';
import { createScene } from './scene.js';

const scene = createScene(4);
const FILE = kind('file', 4);
const PIPE = kind('pipe', 4);
const RSH = kind('rsh', 4);

const INTEGRITY = 7;
const TRANSPORT = 4;

/** The same thing done to a stream on its way to the receiver, whatever that way is. */
function upwards(kind: Kind, passage: () => Passage): RunOptions {
  if (kind.way === 'file') return { mangle: (stream) => mangleStream(stream, passage()) };
  return { fault: { up: passage() } };
}

const NAMES = new Map<number | 'label', string>([
  ['label', 'label'],
  ...Object.entries(RECORD).map(([name, type]) => [type, name.toUpperCase()] as const),
]);

type Place = 'header' | 'table' | 'payload' | 'end';

/** Where in a record a cut at this place is; undefined where it has no such place. */
function cutPosition(record: WireRecord, place: Place): number | undefined {
  const { bytes, headerBytes, tableBytes } = record;
  const payloadBytes = bytes.length - headerBytes - tableBytes;
  switch (place) {
    case 'header':
      return headerBytes > 0 ? headerBytes / 2 : undefined;
    case 'table':
      return tableBytes > 0 ? headerBytes + Math.ceil(tableBytes / 2) : undefined;
    case 'payload':
      return payloadBytes > 0 ? bytes.length - Math.ceil(payloadBytes / 2) : undefined;
    case 'end':
      return bytes.length;
  }
}

/** Loses the connection inside, or right behind, the first record of a type. */
function cutAt(type: number | 'label', place: Place): Passage {
  let isCut = false;
  return editRecords((record) => {
    if (isCut) return [];
    if (record.type !== type || record.nth > 0) return [record.bytes];
    isCut = true;
    const cut = (link: Link) => link.cut();
    return [record.bytes.subarray(0, cutPosition(record, place)), cut];
  });
}

const CUTS: [type: number | 'label', places: Place[]][] = [
  ['label', ['payload', 'end']],
  [RECORD.hello, ['header', 'payload', 'end']],
  [RECORD.check, ['header', 'table', 'payload', 'end']],
  [RECORD.data, ['header', 'table', 'payload', 'end']],
  [RECORD.zero, ['header', 'table', 'end']],
  [RECORD.end, ['header', 'payload']],
];

const UP_CUT: Expectation = { sender: [TRANSPORT, INTEGRITY], receiver: [INTEGRITY] };

for (const kind of [FILE, PIPE, RSH]) {
  test(`when a ${kind.name} stream is cut then the receiver fails, and a second run heals`, async () => {
    for (const [type, places] of CUTS) {
      if (type === RECORD.check && kind.way !== 'rsh') continue;
      for (const place of places) {
        const row = await tryFault(
          scene,
          kind,
          `cut ${place === 'end' ? 'behind' : `inside the ${place} of`} ${NAMES.get(type)}`,
          upwards(kind, () => cutAt(type, place)),
          { ...UP_CUT, message: /ends|nothing came|not an lvmsync stream|lost|connection|stopped/ },
        );
        assert.notEqual(row.outcome, 'succeeded', JSON.stringify(row));
        if (kind.way === 'file') assert.equal(row.target, 'base', JSON.stringify(row));
      }
    }
  });
}

test('when the answers of an rsh-4 run are cut then the sender fails, and a second run heals', async () => {
  const cuts: [number | 'label', Place[]][] = [
    ['label', ['payload']],
    [RECORD.hello, ['header', 'end']],
    [RECORD.accept, ['header', 'end']],
    [RECORD.checked, ['header', 'end']],
    [RECORD.receipt, ['header', 'payload', 'end']],
  ];
  for (const [type, places] of cuts) {
    for (const place of places) {
      const fault = `answers cut ${place === 'end' ? 'behind' : `inside the ${place} of`} ${NAMES.get(type)}`;
      const row = await tryFault(
        scene,
        RSH,
        fault,
        { fault: { down: cutAt(type, place) } },
        { sender: [TRANSPORT], message: /connect|ended without|ends inside/ },
      );
      if (type !== RECORD.receipt) assert.notEqual(row.outcome, 'succeeded', JSON.stringify(row));
    }
  }
});

/** So many flips in all over the four ways; each at its own seeded place. */
const FLIPS = faultPoints * 2;

for (const kind of [FILE, PIPE, RSH]) {
  test(`when one bit of a ${kind.name} stream is flipped then it is noticed`, async () => {
    const stream = await storedStream(scene, 4);
    const random = createRandom(40 + kind.name.length);
    for (let flip = 0; flip < FLIPS; flip++) {
      // Headers and tables are a thousandth of the bytes: every third flip hits the first ones.
      const position = random.below(flip % 3 === 0 ? 600 : stream.length);
      const bit = random.below(8);
      const row = await tryFault(
        scene,
        kind,
        `bit flipped`,
        upwards(kind, () => flipBit(position, bit)),
        {
          sender: [INTEGRITY, TRANSPORT, 5],
          receiver: [INTEGRITY, TRANSPORT],
          message: /checksum|damaged|not an lvmsync|unknown|first line|PROTO/,
        },
      );
      assert.notEqual(row.outcome, 'succeeded', `bit ${bit} of byte ${position}`);
    }
  });
}

test('when one bit of the answers of an rsh-4 run is flipped then it is noticed', async () => {
  const random = createRandom(44);
  for (let flip = 0; flip < FLIPS; flip++) {
    const position = random.below(700);
    const row = await tryFault(
      scene,
      RSH,
      'bit of the answers flipped',
      { fault: { down: flipBit(position, random.below(8)) } },
      { sender: [INTEGRITY, TRANSPORT, 5], message: /checksum|damaged|PROTO|not asked|unknown/ },
    );
    // A flip behind the receipt's last byte meets nothing.
    if (row.outcome === 'succeeded') assert.equal(row.target, 'new');
  }
});
