import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ErrorCode, LvmsyncError } from '#lvmsync/errors.js';
import { checkThinDeltaVersion, readThinDelta } from '#lvmsync/lvm/thin-delta.js';
import { createThinDeltaParser, type DeltaKind } from '#lvmsync/lvm/thin-delta-parser.js';
import { runCommand } from '../../support/command.js';
import { expectedExtents, listExtents } from '../../support/extents.js';
import { createRandom } from '../../support/random.js';
import { temporaryDirectory } from '../../support/temp-dir.js';
import {
  readThinFixture,
  readThinMetadata,
  THIN_CHUNK_BYTES,
  THIN_IDS,
  THIN_TOOL_VERSIONS,
  THIN_VOLUME_BYTES,
} from '../../support/thin-fixtures.js';

type Range = [kind: DeltaKind, begin: number, length: number];

function parse(text: string, { pieceBytes = 65536, leftId = 2, rightId = 3 } = {}): Range[] {
  const ranges: Range[] = [];
  const parser = createThinDeltaParser({
    leftId,
    rightId,
    chunkBytes: THIN_CHUNK_BYTES,
    onRange: (...range) => ranges.push(range),
  });
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    parser.add(bytes.subarray(at, at + pieceBytes));
  }
  parser.end();
  return ranges;
}

function chunksOf(ranges: readonly Range[], ...kinds: DeltaKind[]): Set<number> {
  const chunks = new Set<number>();
  for (const [kind, begin, length] of ranges) {
    if (!kinds.includes(kind)) continue;
    for (let chunk = begin; chunk < begin + length; chunk++) chunks.add(chunk);
  }
  return chunks;
}

function assertFails(work: () => unknown, message: RegExp, code: ErrorCode = 'TOOL_FAILED'): void {
  assert.throws(work, (error) => {
    assert.ok(error instanceof LvmsyncError && error.code === code, String(error));
    assert.match(error.message, message);
    return true;
  });
}

for (const version of THIN_TOOL_VERSIONS) {
  test(`when thin_delta ${version} has compared two snapshots then what changed and what was discarded is known`, () => {
    const ranges = parse(readThinFixture(`s0-s1.${version}.xml`));
    const changed = chunksOf(ranges, 'different', 'right_only', 'left_only');
    const { changed_chunks: differing } = JSON.parse(readThinFixture('s0-s1.changed.json')) as {
      changed_chunks: number[];
    };
    for (const chunk of differing) assert.ok(changed.has(chunk), `chunk ${chunk} is missing`);
    assert.ok(changed.size < differing.length + 20, `${changed.size} for ${differing.length}`);
    assert.deepEqual([...chunksOf(ranges, 'left_only')], [19, 20, 21, 22, 23, 320, 344]);
  });

  test(`when the output of thin_delta ${version} comes in pieces of any size then it reads the same`, () => {
    const text = readThinFixture(`s1-t.${version}.xml`);
    const ids = { leftId: THIN_IDS.s1, rightId: THIN_IDS.t };
    const whole = parse(text, ids);
    for (const pieceBytes of [1, 2, 7, 64, 1000]) {
      assert.deepEqual(parse(text, { ...ids, pieceBytes }), whole);
    }
  });
}

const HEAD =
  '<superblock uuid="" time="2" transaction="3" data_block_size="128" nr_data_blocks="0">\n';
const OPEN = `${HEAD}  <diff left="2" right="3">\n`;
const CLOSE = '  </diff>\n</superblock>\n';

test('when nothing differs then there is no range', () => {
  assert.deepEqual(parse(`${OPEN}${CLOSE}`), []);
});

test('when the output is cut anywhere then that is an error', () => {
  const text = readThinFixture('s0-s1.0.9.0.xml').trimEnd();
  for (let end = 0; end < text.length; end++) {
    assertFails(() => parse(text.slice(0, end)), /what lvmsync cannot read/);
  }
  parse(text);
});

test('when the output says what it should not then that is an error', () => {
  const ok = '    <different begin="5" length="2"/>\n';
  parse(`${OPEN}${ok}${CLOSE}`);
  const odd: Record<string, string> = {
    'a range before the diff': `${HEAD}${ok}`,
    'a range twice': `${OPEN}${ok}${ok}${CLOSE}`,
    'ranges that overlap': `${OPEN}${ok}    <same begin="6" length="1"/>\n${CLOSE}`,
    'ranges that descend': `${OPEN}${ok}    <same begin="1" length="1"/>\n${CLOSE}`,
    'an empty range': `${OPEN}    <different begin="5" length="0"/>\n${CLOSE}`,
    'a negative number': `${OPEN}    <different begin="-5" length="2"/>\n${CLOSE}`,
    'a number with a sign': `${OPEN}    <different begin="+5" length="2"/>\n${CLOSE}`,
    'a hexadecimal number': `${OPEN}    <different begin="0x5" length="2"/>\n${CLOSE}`,
    'a number beyond all volumes': `${OPEN}    <different begin="9007199254740991" length="1"/>\n${CLOSE}`,
    'an endless number': `${OPEN}    <different begin="${'9'.repeat(400)}" length="1"/>\n${CLOSE}`,
    'no length': `${OPEN}    <different begin="5"/>\n${CLOSE}`,
    'another attribute': `${OPEN}    <different begin="5" length="2" skip="1"/>\n${CLOSE}`,
    'another element': `${OPEN}    <partly begin="5" length="2"/>\n${CLOSE}`,
    'verbose output': `${OPEN}    <different>\n      <range begin="5" length="2"/>\n    </different>\n${CLOSE}`,
    'two elements on a line': `${OPEN}    <same begin="1" length="1"/><same begin="2" length="1"/>\n${CLOSE}`,
    'a comment': `${OPEN}<!-- -->\n${CLOSE}`,
    'a document type': `<!DOCTYPE x [<!ENTITY a "b">]>\n${OPEN}${CLOSE}`,
    'two diffs': `${OPEN}  </diff>\n  <diff left="2" right="3">\n${CLOSE}`,
    'something behind the end': `${OPEN}${CLOSE}${ok}`,
    'two documents': `${OPEN}${CLOSE}${OPEN}${CLOSE}`,
    'volumes that were not asked for': `${HEAD}  <diff left="2" right="4">\n${CLOSE}`,
    'volumes the wrong way round': `${HEAD}  <diff left="3" right="2">\n${CLOSE}`,
    'another chunk size': `${OPEN.replace('"128"', '"256"')}${CLOSE}`,
    'no chunk size': `${OPEN.replace(' data_block_size="128"', '')}${CLOSE}`,
    'an error message': 'Usage: thin_delta [options] <device or file>\n',
    nothing: '',
  };
  for (const [name, text] of Object.entries(odd)) {
    assert.throws(
      () => parse(text),
      (error) => error instanceof LvmsyncError && error.code === 'TOOL_FAILED',
      name,
    );
  }
});

test('when a line never ends then it is not kept', () => {
  const parser = createThinDeltaParser({
    leftId: 2,
    rightId: 3,
    chunkBytes: THIN_CHUNK_BYTES,
    onRange: () => {},
  });
  parser.add(Buffer.from(OPEN));
  assertFails(() => parser.add(Buffer.alloc(2000, 'x')), /line 3/);
});

test('when random bytes of the output are changed then it is an error or other numbers, and nothing else', () => {
  const text = readThinFixture('s0-s1.1.1.0.xml');
  const random = createRandom(3);
  for (let round = 0; round < 3000; round++) {
    const bytes = Buffer.from(text);
    for (let i = 0; i <= random.below(3); i++) {
      bytes[random.below(bytes.length)] = random.below(256);
    }
    try {
      let end = 0;
      for (const [, begin, length] of parse(bytes.toString('latin1'))) {
        assert.ok(begin >= end && length > 0);
        end = begin + length;
      }
    } catch (error) {
      assert.ok(error instanceof LvmsyncError && error.code === 'TOOL_FAILED', String(error));
    }
  }
});

const directoryOfTests = temporaryDirectory();
const usualPath = process.env.PATH;

/** Puts a program of this name first in the PATH, for one test. */
function fakeTool(context: TestContext, script: string): string {
  const directory = mkdtempSync(join(directoryOfTests, 'tool-'));
  const path = join(directory, 'thin_delta');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  process.env.PATH = `${directory}:${usualPath}`;
  context.after(() => {
    process.env.PATH = usualPath;
  });
  return directory;
}

const DELTA = {
  metadataPath: '/dev/null',
  olderId: 2,
  newerId: 3,
  chunkBytes: THIN_CHUNK_BYTES,
  volumeBytes: THIN_VOLUME_BYTES,
};

test('when thin_delta is run then it is asked for the metadata snapshot, and ranges end with the volume', async (context) => {
  const directory = fakeTool(context, 'echo "$@" >$(dirname $0)/args; cat $(dirname $0)/out');
  const far =
    '<left_only begin="1020" length="99999999999"/>\n<different begin="200000000000" length="5"/>';
  writeFileSync(
    join(directory, 'out'),
    `${OPEN}<same begin="0" length="3"/>\n<right_only begin="7" length="2"/>\n${far}\n${CLOSE}`,
  );
  const volumeBytes = 1022 * THIN_CHUNK_BYTES + 4096;
  const { changed, discarded } = await readThinDelta({ ...DELTA, volumeBytes });
  assert.deepEqual(
    listExtents(changed),
    expectedExtents([7, 8, 1020, 1021, 1022], THIN_CHUNK_BYTES, volumeBytes),
  );
  assert.deepEqual(
    listExtents(discarded),
    expectedExtents([1020, 1021, 1022], THIN_CHUNK_BYTES, volumeBytes),
  );
  assert.equal(changed.totalBytes, 4 * THIN_CHUNK_BYTES + 4096);
  const { stdout } = await runCommand('cat', [join(directory, 'args')]);
  assert.equal(stdout.toString(), '--metadata-snap --thin1 2 --thin2 3 /dev/null\n');
});

test('when thin_delta fails, is killed, or its output is bad then that is an error', async (context) => {
  const cases: [string, RegExp][] = [
    ['echo metadata broken >&2; exit 1', /thin_delta failed: metadata broken/],
    [
      `printf '${`${OPEN}${CLOSE}`.replaceAll('\n', '\\n')}'; exit 1`,
      /thin_delta failed: exit status 1/,
    ],
    ['kill -9 $$', /thin_delta was killed by SIGKILL/],
    ['echo nonsense; sleep 60', /cannot read: line 1: "nonsense"/],
    ['exit 0', /it ends after line/],
  ];
  for (const [script, message] of cases) {
    fakeTool(context, script);
    await assert.rejects(readThinDelta(DELTA), (error) => {
      assert.ok(error instanceof LvmsyncError && error.code === 'TOOL_FAILED', String(error));
      assert.match(error.message, message);
      return true;
    });
  }
});

test('when the run is interrupted then thin_delta is ended', async (context) => {
  fakeTool(context, 'exec sleep 60');
  const interruption = new AbortController();
  const reading = readThinDelta({ ...DELTA, signal: interruption.signal });
  setImmediate(() => interruption.abort());
  await assert.rejects(
    reading,
    (error) => error instanceof LvmsyncError && error.code === 'INTERRUPTED',
  );
});

test('when thin_delta is of a version that leaves changes out, or an untried one, then it is refused', async (context) => {
  for (const version of [
    '0.9.0',
    '1.0.6',
    'thin_delta 1.0.11',
    '1.0.14',
    '1.1.0',
    '1.2',
    '2.0.0',
  ]) {
    fakeTool(context, `echo ${version}`);
    await checkThinDeltaVersion();
  }
  for (const version of ['1.0.5', 'thin_delta 1.0.0', '1.0', '0.8.5', 'none']) {
    fakeTool(context, `echo ${version}`);
    await assert.rejects(checkThinDeltaVersion(), (error) => {
      assert.ok(error instanceof LvmsyncError && error.code === 'TOOL_FAILED', version);
      assert.match(error.message, /it takes 0\.9, or 1\.0\.6 or later/);
      return true;
    });
  }
});

test('when the installed thin_delta reads real metadata then both snapshots are compared as recorded', async (context) => {
  const { stdout } = await runCommand('sh', ['-c', 'PATH=$PATH:/usr/sbin; command -v thin_delta']);
  if (stdout.length === 0) return context.skip('thin-provisioning-tools is not installed');
  const metadataPath = join(directoryOfTests, 'tmeta');
  writeFileSync(metadataPath, readThinMetadata());
  const { changed, discarded } = await readThinDelta({ ...DELTA, metadataPath });
  const ranges = parse(readThinFixture('s0-s1.0.9.0.xml'));
  const wanted = (...kinds: DeltaKind[]) =>
    expectedExtents(chunksOf(ranges, ...kinds), THIN_CHUNK_BYTES, THIN_VOLUME_BYTES);
  assert.deepEqual(listExtents(changed), wanted('different', 'right_only', 'left_only'));
  assert.deepEqual(listExtents(discarded), wanted('left_only'));
});
