import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addPiece, createBatch } from '#lvmsync/block/batch.js';
import { createJsEngine } from '#lvmsync/block/js-engine.js';
import { createUndoLog } from '#lvmsync/receive/undo-log.js';
import { readUndoLog } from '#lvmsync/receive/undo-log-reader.js';
import { createRandom } from '../../support/random.js';
import { temporaryDirectory } from '../../support/temp-dir.js';

const directory = temporaryDirectory();
const engine = createJsEngine();
const SIZE_BYTES = 3_000_003; // the last block of the target is a partial one
const base = createRandom(1).bytes(SIZE_BYTES);
let files = 0;

interface Arranged {
  targetPath: string;
  logPath: string;
}

function arrange(): Arranged {
  const number = files++;
  const targetPath = join(directory, `target-${number}`);
  writeFileSync(targetPath, base);
  return { targetPath, logPath: join(directory, `log-${number}`) };
}

/** Overwrites random places behind the log, several batches at a time; ends the log or not. */
async function overwrite(
  { targetPath, logPath }: Arranged,
  seed: number,
  { complete = true, batches = 12 } = {},
): Promise<void> {
  const random = createRandom(seed);
  const target = await engine.open(targetPath, { mode: 'write' });
  const log = await createUndoLog({
    path: logPath,
    target,
    targetId: 'the target',
    engine,
    version: 'test',
  });
  for (let round = 0; round < batches; round += 3) {
    const three = [0, 1, 2].map(() => {
      const batch = createBatch(random.bytes(8192), 20);
      for (let i = 0; i < 20; i++) {
        const length = 1 + random.below(8192);
        addPiece(batch, random.below(SIZE_BYTES - length), length, 0);
      }
      return batch;
    });
    // The batches overlap one another, so that only protecting them goes on at the same time.
    await Promise.all(three.map((batch) => log.protect(batch)));
    for (const batch of three) {
      for (let i = 0; i < batch.count; i++) {
        const one = createBatch(batch.buffer, 1);
        addPiece(one, batch.offsets[i]!, batch.lengths[i]!, 0);
        await target.write(one);
      }
    }
  }
  if (complete) await log.complete();
  await log.close();
  await target.close();
}

/** What the target is after everything in the log has been put back. */
async function restored({ targetPath, logPath }: Arranged): Promise<Buffer> {
  const image = readFileSync(targetPath);
  const log = readFileSync(logPath);
  const found = await readUndoLog(logPath, engine);
  assert.ok(found);
  for (const record of recordsOf(log.subarray(0, found.wholeBytes))) {
    if (record.type !== 16) continue;
    let offset = record.offset;
    let data = record.payload;
    for (let i = 0; i < record.extents; i++) {
      offset += log.readUInt32BE(record.start + 32 + i * 8) * 512;
      const length = log.readUInt32BE(record.start + 36 + i * 8);
      log.copy(image, offset, data, data + length);
      offset += length;
      data += length;
    }
  }
  return image;
}

interface FoundRecord {
  start: number;
  end: number;
  type: number;
  offset: number;
  extents: number;
  payload: number;
}

function recordsOf(log: Buffer): FoundRecord[] {
  const records: FoundRecord[] = [];
  for (let start = 17; start < log.length; ) {
    const extents = log.readUInt16BE(start + 2);
    const payload = start + 32 + extents * 8;
    const end = payload + log.readUInt32BE(start + 4);
    const offset = Number(log.readBigUInt64BE(start + 8));
    records.push({ start, end, type: log.readUInt8(start), offset, extents, payload });
    start = end;
  }
  return records;
}

test('when a log has its end, then it holds the base of every block once', async () => {
  const arranged = arrange();
  await overwrite(arranged, 10);
  const log = await readUndoLog(arranged.logPath, engine);
  assert.ok(log?.ended);
  assert.equal(log.tornBytes, 0);
  assert.deepEqual(log.hello.target, { id: 'the target', sizeBytes: SIZE_BYTES });
  const seen = new Set<number>();
  await readUndoLog(arranged.logPath, engine, (extents) => {
    for (let i = 0; i < extents.count; i++) {
      const end = extents.offsets[i]! + extents.lengths[i]!;
      for (let offset = extents.offsets[i]!; offset < end; offset += 4096) {
        assert.ok(!seen.has(offset), `the block at ${offset} is there twice`);
        seen.add(offset);
      }
    }
  });
  assert.ok(!readFileSync(arranged.targetPath).equals(base));
  assert.ok((await restored(arranged)).equals(base));
});

test('when a log is cut anywhere behind its last mark, then what is whole counts and the rest is torn', async () => {
  const arranged = arrange();
  await overwrite(arranged, 11, { complete: false });
  const whole = readFileSync(arranged.logPath);
  const records = recordsOf(whole);
  const random = createRandom(12);
  const cut = { ...arranged, logPath: join(directory, 'cut') };
  const hello = records[0]!.end;
  for (let round = 0; round < 60; round++) {
    const length = hello + random.below(whole.length - hello);
    writeFileSync(cut.logPath, whole.subarray(0, length));
    const log = await readUndoLog(cut.logPath, engine);
    const wholeBytes = records.findLast(({ end }) => end <= length)!.end;
    assert.equal(log?.wholeBytes, wholeBytes);
    assert.equal(log.tornBytes, length - wholeBytes);
    assert.equal(log.ended, false);
  }
});

test('when a bit of the durable part is flipped, then that is damage, named by its offset', async () => {
  const arranged = arrange();
  await overwrite(arranged, 13);
  const whole = readFileSync(arranged.logPath);
  const records = recordsOf(whole);
  const random = createRandom(14);
  const path = join(directory, 'damaged');
  const end = records.at(-1)!;
  for (let round = 0; round < 100; round++) {
    const position = records[0]!.end + random.below(end.start - records[0]!.end);
    const bytes = Buffer.from(whole);
    bytes[position]! ^= 1 << random.below(8);
    writeFileSync(path, bytes);
    // A flipped bit in a type can make a record one that may be skipped: then its sum is missing.
    const hit = records.find((record) => position < record.end)!;
    await assert.rejects(
      readUndoLog(path, engine),
      (error: { code?: string; offset?: number; message: string }) =>
        error.code === 'STREAM_DAMAGED' &&
        error.offset === hit.start &&
        error.message.includes(`offset ${hit.start}`),
      `bit at ${position}`,
    );
  }
});

test('when the torn end holds a mark of another log, then it is a torn end all the same', async () => {
  const arranged = arrange();
  await overwrite(arranged, 15, { complete: false, batches: 3 });
  const other = arrange();
  await overwrite(other, 16, { batches: 3 });
  const own = readFileSync(arranged.logPath);
  const torn = Buffer.concat([Buffer.alloc(100, 7), readFileSync(other.logPath)]);
  writeFileSync(arranged.logPath, Buffer.concat([own, torn]));
  const log = await readUndoLog(arranged.logPath, engine);
  assert.equal(log?.tornBytes, torn.length);
  assert.ok((await restored(arranged)).equals(base));
});

test('when a record has been taken out of the middle, then that is damage', async () => {
  const arranged = arrange();
  await overwrite(arranged, 17, { complete: false });
  const whole = readFileSync(arranged.logPath);
  const { start, end } = recordsOf(whole).find(({ type }) => type === 16)!;
  writeFileSync(arranged.logPath, Buffer.concat([whole.subarray(0, start), whole.subarray(end)]));
  await assert.rejects(readUndoLog(arranged.logPath, engine), { code: 'STREAM_DAMAGED' });
});

test('when an interrupted run is run again with its log, torn as it is, then it leads back to before both', async () => {
  const arranged = arrange();
  await overwrite(arranged, 18, { complete: false });
  truncateSync(arranged.logPath, statSync(arranged.logPath).size);
  writeFileSync(arranged.logPath, Buffer.alloc(777, 1), { flag: 'a' });
  await overwrite(arranged, 19);
  assert.ok((await readUndoLog(arranged.logPath, engine))?.ended);
  assert.ok((await restored(arranged)).equals(base));
});

test('when the file holds anything else, then it is refused and left as it is', async () => {
  const arranged = arrange();
  await overwrite(arranged, 20);
  const finished = readFileSync(arranged.logPath);
  await assert.rejects(overwrite(arranged, 21), { code: 'OPEN_FAILED', message: /there already/ });
  assert.ok(readFileSync(arranged.logPath).equals(finished));

  const otherTarget = arrange();
  await overwrite(otherTarget, 22, { complete: false });
  copyFileSync(otherTarget.logPath, arranged.logPath);
  truncateSync(arranged.targetPath, SIZE_BYTES - 4096);
  await assert.rejects(overwrite(arranged, 23), { code: 'OPEN_FAILED', message: /there already/ });

  writeFileSync(arranged.logPath, 'precious');
  await assert.rejects(overwrite(arranged, 24), { code: 'OPEN_FAILED', message: /there already/ });
  assert.equal(readFileSync(arranged.logPath, 'latin1'), 'precious');
});
