import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { lvmsyncKilled } from '../support/interrupt.js';
import { lvmsyncOk } from '../support/lvmsync.js';
import {
  applied,
  decodeRecord,
  type Extent,
  encodeRecord,
  encodeTransfer,
  LABEL,
  TYPE,
} from '../support/proto4.js';
import { createRandom } from '../support/random.js';
import { temporaryDirectory } from '../support/temp-dir.js';

/** ZERO and DISCARD records, from the command line to the target and back. */

const directory = temporaryDirectory();
process.env.LVMSYNC_STATE_DIR = join(directory, 'state');
const SIZE_BYTES = 24 << 20;
const random = createRandom(7);
const base = random.bytes(SIZE_BYTES);
const records = makeRecords();
const expected = applied(base, records);
const stream = join(directory, 'stream');
writeFileSync(stream, encodeTransfer(SIZE_BYTES, records));
const ends = (image: Buffer) => (path: string) => readFileSync(path).equals(image);
const isNew = ends(expected);
const isOld = ends(base);

/** Long and short ranges, at sectors and at blocks, with data between them. */
function makeRecords(): Buffer[] {
  const made: Buffer[] = [];
  let offset = 0;
  while (offset < SIZE_BYTES) {
    const type = random.pick([TYPE.data, TYPE.zero, TYPE.discard]);
    const extents: Extent[] = [];
    let payloadBytes = 0;
    for (let count = 1 + random.below(4); count > 0 && offset < SIZE_BYTES; count--) {
      const longest = type === TYPE.data ? 128 : 3000;
      const length = Math.min(512 * (1 + random.below(longest)), SIZE_BYTES - offset);
      extents.push([offset, length]);
      if (type === TYPE.data) payloadBytes += length;
      offset += length + 512 * random.below(100);
    }
    made.push(encodeRecord(type, extents, random.bytes(payloadBytes)));
  }
  return made;
}

function newTarget(name: string): string {
  const path = join(directory, name);
  writeFileSync(path, base);
  return path;
}

test('when the stream of these tests is made, then it has long ranges of both kinds', () => {
  for (const type of [TYPE.zero, TYPE.discard]) {
    const extents = records
      .map(decodeRecord)
      .filter((record) => record.type === type)
      .flatMap((record) => record.extents);
    assert.ok(extents.some(([, length]) => length > 1 << 20) && extents.length > 5);
  }
});

for (const engine of ['native', 'js']) {
  for (const format of ['3', '4']) {
    test(`when the ${engine} engine zeroes and discards behind a snapback in format ${format}, then rolling back restores every byte`, async () => {
      const target = newTarget(`t-${engine}-${format}`);
      const undo = join(directory, `undo-${engine}-${format}`);
      const options = ['--engine', engine, '--snapback', undo, '--snapback-format', format];
      await lvmsyncOk(['--apply', stream, target, ...options]);
      assert.ok(isNew(target));
      if (engine === 'native') {
        const freed = SIZE_BYTES - statSync(target).blocks * 512;
        assert.ok(freed > SIZE_BYTES / 3, `${freed} bytes were freed`);
      }
      await lvmsyncOk(['rollback', '--engine', engine, undo, target]);
      assert.ok(isOld(target));
    });
  }

  test(`when a transactional run with the ${engine} engine holds such records, then they are applied from the spool`, async () => {
    const target = newTarget(`t-${engine}-spool`);
    const undo = join(directory, `undo-${engine}-spool`);
    const options = ['--engine', engine, '--transactional', '--snapback', undo];
    await lvmsyncOk(['--apply', stream, target, ...options]);
    assert.ok(isNew(target));
    await lvmsyncOk(['rollback', '--engine', engine, undo, target]);
    assert.ok(isOld(target));
  });

  test(`when a run with the ${engine} engine is killed between such records, then rolling back restores every byte`, async () => {
    for (let round = 0; round < 3; round++) {
      const target = newTarget(`t-${engine}-killed`);
      const undo = join(directory, `undo-${engine}-killed-${round}`);
      const args = ['--apply', stream, target, '--engine', engine, '--snapback', undo];
      const offset = random.below(SIZE_BYTES);
      const changed = () => !readFileSync(target).subarray(offset).equals(base.subarray(offset));
      await lvmsyncKilled(args, changed);
      await lvmsyncOk(['rollback', undo, target]);
      assert.ok(isOld(target), `round ${round}`);
    }
  });
}

test('when a range that the target already holds as zeroes is discarded, then nothing else changes', async () => {
  const target = join(directory, 't-zeroes');
  writeFileSync(target, Buffer.alloc(1 << 20));
  const one = encodeRecord(TYPE.discard, [[65536, 524288]]);
  const input = encodeTransfer(1 << 20, [one]);
  assert.ok(input.subarray(0, LABEL.length).equals(LABEL));
  await lvmsyncOk(['--apply', '-', target], { input });
  assert.ok(readFileSync(target).equals(Buffer.alloc(1 << 20)));
});
