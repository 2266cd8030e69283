import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { runCommand } from '../support/command.js';
import { lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { splitStream, totalsOf } from '../support/proto4.js';
import { lvmsyncPath } from '../support/repository.js';
import { temporaryDirectory } from '../support/temp-dir.js';
import {
  ORIGIN_BYTES,
  readFixtureText,
  readOriginAfter,
  readRecordedExceptions,
  readStoreImage,
} from '../support/thick-fixtures.js';

const directory = temporaryDirectory();
const CHUNK_BYTES = { 'thick-4k': 4096, 'thick-64k': 65_536, 'thick-8k-snapwrites': 8192 };
type Fixture = keyof typeof CHUNK_BYTES;

function source(fixture: Fixture | 'thick-64k-empty'): string[] {
  const path = (file: string) => join(directory, `${fixture}-${file}`);
  writeFileSync(path('cow'), readStoreImage(fixture));
  writeFileSync(path('origin'), readOriginAfter(fixture));
  return ['--cow-device', path('cow'), '--data-source', path('origin')];
}

async function diffJson(args: string[]) {
  const { stdout } = await lvmsyncOk(['diff', '--json', ...args]);
  return JSON.parse(stdout.toString());
}

for (const fixture of ['thick-4k', 'thick-64k', 'thick-8k-snapwrites'] as const) {
  test(`when ${fixture} is looked at, then its counts are those on record, and what a transfer sends`, async () => {
    const words = source(fixture);
    const diff = await diffJson(words);
    const chunks = new Set(readRecordedExceptions(fixture).map(([old]) => old));
    const runs = [...chunks].filter((chunk) => !chunks.has(chunk - 1)).length;
    const chunkBytes = CHUNK_BYTES[fixture];
    assert.equal(diff.changedChunks, chunks.size);
    assert.equal(diff.changedBytes, chunks.size * chunkBytes);
    assert.equal(diff.extentCount, runs);
    assert.equal(diff.chunkBytes, chunkBytes);
    assert.equal(diff.volumeBytes, ORIGIN_BYTES);
    const changed: { changed_chunks: number[]; chunk_size: number } = JSON.parse(
      readFixtureText(fixture, 's.changed.json'),
    );
    assert.ok(diff.changedBytes >= changed.changed_chunks.length * changed.chunk_size);
    const status = readFixtureText(fixture, 'dmsetup-status.txt');
    const [, used, total] = /snapshot (\d+)\/(\d+)/.exec(status)?.map(Number) ?? [];
    assert.deepEqual(diff.fill, { usedBytes: used! * 512, totalBytes: total! * 512 });

    const { stdout } = await lvmsyncOk([...words, '--stdout', '--protocol', '4']);
    const records = splitStream(stdout).filter((record) => [16, 17, 18].includes(record[0]!));
    assert.equal(totalsOf(records).dataBytes, diff.changedBytes);
  });
}

test('when nothing has changed, then that is what is said', async () => {
  const { stdout, stderr } = await lvmsyncOk(['diff', '--map', ...source('thick-64k-empty')]);
  assert.match(
    stdout.toString(),
    /: 0 bytes of 64\.0 MiB \(0%\) changed\n {2}0 chunks of 64\.0 KiB, in 0 extents\n/,
  );
  assert.match(stdout.toString(), /\nThe store is 0\.78% full \(128\.0 KiB of 16\.0 MiB\)\n/);
  assert.equal(stderr, '');
});

test('when a link is named, then the estimate is for it alone, in bits per second', async () => {
  const words = source('thick-64k');
  const all = await diffJson(words);
  assert.deepEqual(
    all.estimates.map((each: { bitsPerSecond: number }) => each.bitsPerSecond),
    [1e8, 1e9, 1e10],
  );
  const [one, ...others] = (await diffJson([...words, '--link', '2.5Gbit/s'])).estimates;
  assert.deepEqual(others, []);
  assert.equal(one.bitsPerSecond, 2.5e9);
  assert.ok(Math.abs(one.wholeSeconds - (ORIGIN_BYTES * 8) / 2.5e9 / 0.94) < 0.001);
  const { stdout } = await lvmsyncOk(['diff', ...words, '--link', '64k']);
  assert.match(stdout.toString(), /64 kbit\/s +24 min \d+ s +2 h 28 min\n/);
  for (const link of ['', '-1', '1e9', '12', '1GB', '1G x', '9999999T']) {
    await lvmsyncFails(['diff', ...words, `--link=${link}`], 2, /bits per second/);
  }
});

test('when there is no terminal, then a map has no escape codes, takes 80 columns or $COLUMNS, and blocks where the locale has them', async () => {
  const words = ['diff', '--map', ...source('thick-4k')];
  const env = { LC_ALL: undefined, LC_CTYPE: undefined, COLUMNS: undefined };
  const blocks = await lvmsyncOk(words, { env: { ...env, LANG: 'C.UTF-8' } });
  const lines = blocks.stdout.toString().split('\n');
  assert.ok(!blocks.stdout.includes('\u001b'));
  assert.equal(lines.filter((line) => line.length === 80 && line.includes('│')).length, 16);
  const wide = await lvmsyncOk(words, { env: { ...env, LANG: 'C', COLUMNS: '200' } });
  const rows = wide.stdout
    .toString()
    .split('\n')
    .filter((line) => line.length === 200);
  assert.equal(rows.length, 16);
  assert.match(wide.stdout.toString(), /^[\x20-\x7e\n]*$/);
});

test('when a terminal shows the map, then in colours and as wide as it is, and without colours where NO_COLOR says so', async () => {
  const words = source('thick-4k')
    .map((word) => `'${word}'`)
    .join(' ');
  for (const [variables, colored] of [
    ['TERM=xterm', true],
    ['TERM=xterm NO_COLOR=1', false],
    ['TERM=dumb', false],
  ] as const) {
    const diff = `'${process.execPath}' '${lvmsyncPath}' diff --map ${words}`;
    const line = `stty cols 132; env -u NO_COLOR ${variables} LC_ALL=C.UTF-8 ${diff}`;
    const result = await runCommand('script', ['-qec', line, '/dev/null']);
    const stdout = result.stdout.toString();
    assert.equal(stdout.includes('\u001b['), colored, variables);
    const plain = stripVTControlCharacters(stdout).split(/\r?\n/);
    assert.equal(plain.filter((each) => each.length === 132 && each.includes('│')).length, 16);
  }
});

test('when a picture is wanted, then it is written, and nothing but a file is written over', async () => {
  const words = source('thick-4k');
  const picture = join(directory, 'map.svg');
  writeFileSync(picture, 'old');
  await lvmsyncOk(['diff', '--json', '--svg', picture, ...words]);
  const svg = readFileSync(picture, 'utf8');
  assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" [^>]*>\n<rect /);
  assert.match(svg, /4\.6 MiB of 64\.0 MiB \(7\.2%\) changed/);
  assert.match(svg, /<\/svg>\n$/);
  mkdirSync(join(directory, 'place'));
  const fails = (path: string, why: RegExp) =>
    lvmsyncFails(['diff', '--svg', path, ...words], 6, why);
  await fails(join(directory, 'place'), /cannot write the picture .*: it is no regular file/);
  await fails('/dev/full', /no regular file/);
  await fails(join(directory, 'none', 'map.svg'), /ENOENT/);
});

test('when the command line makes no sense, then that is a usage error', async () => {
  const words = source('thick-64k');
  await lvmsyncFails(['diff'], 2, /no snapshot given/);
  await lvmsyncFails(['diff', 'vg/snap', ...words], 2, /takes the place of a snapshot/);
  await lvmsyncFails(['diff', ...words.slice(0, 2)], 2, /needs --data-source/);
  await lvmsyncFails(['diff', 'vg/snap', ...words.slice(2)], 2, /goes with --cow-device/);
  await lvmsyncFails(['diff', ...words, '--against', 'vg/x'], 2, /cannot be used with/);
  await lvmsyncFails(['diff', ...words, '--map', '--json'], 2, /cannot be used with/);
});

test('when the store has overflowed, then that is the answer', async () => {
  const words = source('thick-64k');
  writeFileSync(words[1]!, readStoreImage('thick-4k-overflow'));
  await lvmsyncFails(['diff', ...words], 7, /marked invalid/);
});
