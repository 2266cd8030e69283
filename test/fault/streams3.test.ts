/**
 * PROTO[3] streams that are cut or changed. The protocol has no end mark, no count and no checksum:
 * what that means is recorded as it is, as `undetectable`.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { createRandom } from '../support/random.js';
import { lvmsyncPath } from '../support/repository.js';
import {
  editProto3Records,
  flipBit,
  mangleStream,
  type Passage,
  type Step,
  type WireRecord,
} from './interference.js';
import { changesOf, type Kind, kind, type RunOptions, storedStream, tryFault } from './kinds.js';
import { appendRow, faultPoints } from './matrix.js';
import { createScene } from './scene.js';

const scene = createScene(8);
const FILE = kind('file', 3);
const PIPE = kind('pipe', 3);
const RSH = kind('rsh', 3);
const KINDS = [FILE, PIPE, RSH];
/** Of about 240: far from the end, so that a sender cannot have handed over all before a cut. */
const RECORD_INDEX = 20;

function upwards(kind: Kind, passage: () => Passage): RunOptions {
  if (kind.way === 'file') return { mangle: (stream) => mangleStream(stream, passage()) };
  return { fault: { up: passage() } };
}

function atRecord(edit: (record: WireRecord) => Step[]): Passage {
  return editProto3Records((record) =>
    record.index === RECORD_INDEX ? edit(record) : [record.bytes],
  );
}

/** Loses the connection so many bytes into a record. */
function cutInside(position: number | 'end'): Passage {
  let isCut = false;
  return editProto3Records((record) => {
    if (isCut) return [];
    if (record.index < RECORD_INDEX) return [record.bytes];
    isCut = true;
    const bytes = position === 'end' ? record.bytes : record.bytes.subarray(0, position);
    return [bytes, (link) => link.cut()];
  });
}

for (const kind of KINDS) {
  test(`when a ${kind.name} stream is cut then some end fails, where any can tell`, async () => {
    for (const [fault, position] of [
      ['cut inside a header', 5],
      ['cut inside data', 700],
      ['cut at a record boundary', 'end'],
    ] as const) {
      const blind = kind.way === 'file' && position === 'end';
      const row = await tryFault(
        scene,
        kind,
        fault,
        upwards(kind, () => cutInside(position)),
        {
          sender: [4],
          receiver: [7],
          message: /ends inside|lost|connect|stopped taking/,
          ...(blind && { undetectable: 'a stream may end behind any record' }),
        },
      );
      assert.equal(row.outcome === 'undetectable', blind, JSON.stringify(row));
      assert.notEqual(row.outcome, 'succeeded', JSON.stringify(row));
      if (kind.way !== 'file') assert.notEqual(row.exits[0], 0, 'its own output was cut');
      else if (!blind) assert.equal(row.target, 'base');
    }
  });

  test(`when records of a ${kind.name} stream are reordered or repeated then the target is new`, async () => {
    let held: Buffer | undefined;
    const swap = editProto3Records((record) => {
      if (record.index === RECORD_INDEX) held = record.bytes;
      return record.index === RECORD_INDEX
        ? []
        : record.index === RECORD_INDEX + 1 && held
          ? [record.bytes, held]
          : [record.bytes];
    });
    await tryFault(
      scene,
      kind,
      'records reordered',
      upwards(kind, () => swap),
      { succeeds: true },
    );
    const repeat = upwards(kind, () => atRecord(({ bytes }) => [bytes, bytes]));
    await tryFault(scene, kind, 'a record duplicated', repeat, { succeeds: true });
  });

  test(`when a record of a ${kind.name} stream is missing or wrong then only its place can betray it`, async () => {
    await tryFault(
      scene,
      kind,
      'a record dropped',
      upwards(kind, () => atRecord(() => [])),
      { undetectable: 'nothing counts the records' },
    );
    const beyond = atRecord(({ bytes }) => {
      const moved = Buffer.from(bytes);
      moved.writeBigUInt64BE(BigInt(scene.base.length - 512), 0);
      return [moved];
    });
    const row = await tryFault(
      scene,
      kind,
      'a record beyond the end of the target',
      upwards(kind, () => beyond),
      { sender: [4, 5], receiver: [7], message: /beyond the target/ },
    );
    assert.notEqual(row.outcome, 'succeeded', JSON.stringify(row));
    if (kind.way === 'file') assert.equal(row.target, 'base');
  });
}

test('when one bit of a PROTO[3] stream is flipped then it may pass, and is listed', async () => {
  const stream = await storedStream(scene, 3);
  const random = createRandom(80);
  for (let flip = 0; flip < Math.ceil(faultPoints / 2); flip++) {
    const position = random.below(flip % 2 === 0 ? 40 : stream.length);
    await tryFault(
      scene,
      FILE,
      'bit flipped',
      upwards(FILE, () => flipBit(position, random.below(8))),
      { receiver: [7], undetectable: 'no checksums' },
    );
  }
});

for (const protocol of [3, 4]) {
  test(`when PROTO[${protocol}] is written to a full disk then the sender fails`, async () => {
    const full = openSync('/dev/full', 'w');
    const args = [...changesOf(scene), '--stdout', '--protocol', String(protocol)];
    const sender = spawn(process.execPath, [lvmsyncPath, ...args], {
      stdio: ['ignore', full, 'pipe'],
    });
    closeSync(full);
    const stderr: Buffer[] = [];
    sender.stderr?.on('data', (data: Buffer) => stderr.push(data));
    const [status] = (await once(sender, 'close')) as [number | null];
    const message = Buffer.concat(stderr).toString();
    appendRow({
      kind: `stdout-${protocol}`,
      fault: 'disk full',
      outcome: status === 0 ? 'succeeded' : 'refused',
      exits: [status ?? 'signal'],
      message: message.split('\n')[0] ?? '',
      target: 'base',
      healed: undefined,
      falseSuccess: status === 0,
      lostData: false,
    });
    assert.ok([4, 6].includes(status ?? 0), message);
    assert.match(message, /^FATAL ERROR: .*\n {2}/);
  });
}
