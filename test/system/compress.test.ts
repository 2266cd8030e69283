import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { runCommand } from '../support/command.js';
import { lvmsync, lvmsyncOk } from '../support/lvmsync.js';
import { hasZstd, nodeWithZstd } from '../support/newer-node.js';
import {
  decodeRecord,
  encodeRecord,
  encodeTransfer,
  splitStream,
  TYPE,
} from '../support/proto4.js';
import { lvmsyncPath } from '../support/repository.js';
import { createStoreFixture, type StoreFixture, sameContent } from '../support/store-fixture.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const directory = temporaryDirectory();
const compressible = createStoreFixture(directory, {
  seed: 1,
  content: (chunk) => chunk.fill(`${chunk.byteOffset} the same old story `),
});
const incompressible = createStoreFixture(directory, { seed: 2 });

let newer: string;
before(async () => {
  newer = await nodeWithZstd();
});

function newerLvmsync(args: readonly string[], input?: Buffer) {
  return runCommand(newer, [lvmsyncPath, ...args], { ...(input && { input }) });
}

async function streamOf({ source }: StoreFixture, ...options: string[]): Promise<Buffer> {
  const args = [...source, '--stdout', '--protocol', '4', ...options];
  const { status, stdout, stderr } = await newerLvmsync(args);
  assert.equal(status, 0, stderr);
  return stdout;
}

const encodingsOf = (stream: Buffer) =>
  splitStream(stream)
    .map(decodeRecord)
    .filter(({ type }) => type === TYPE.data)
    .map(({ encoding }) => encoding);

describe('--compress with zstd on both sides', () => {
  test('when the data can be compressed then a fraction travels and the target is right', async () => {
    const [plain, packed] = [
      await streamOf(compressible),
      await streamOf(compressible, '--compress'),
    ];
    assert.ok(packed.length < plain.length / 10, `${packed.length} of ${plain.length} bytes`);
    assert.ok(encodingsOf(packed).every((encoding) => encoding === 1));
    const path = compressible.target('target', compressible.base);
    const { status, stderr } = await newerLvmsync(['--apply', '-', path], packed);
    assert.equal(status, 0, stderr);
    assert.ok(sameContent(path, compressible.origin));
  });

  test('when the data cannot be compressed then it travels as it is', async () => {
    const packed = await streamOf(incompressible, '--compress');
    assert.ok(encodingsOf(packed).every((encoding) => encoding === 0));
    assert.ok(packed.equals(await streamOf(incompressible)));
  });

  test('when a conversation is compressed then the receipt is right and so is the target', async () => {
    const path = compressible.target('target', compressible.base);
    const rsh = compressible.rsh(newer);
    const args = [...compressible.source, '--compress', '-v', '-e', rsh, `backup:${path}`];
    const { status, stderr } = await newerLvmsync(args);
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stderr, /without compression/);
    assert.ok(sameContent(path, compressible.origin));
  });

  test('when a compressed payload is a bomb then it is refused', async () => {
    const zstd = await newerZstd(Buffer.alloc(64 << 20));
    const base = Buffer.alloc(1 << 20);
    const record = encodeRecord(TYPE.data, [[0, 1 << 20]], zstd, {
      encoding: 1,
      decodedBytes: 1 << 20,
    });
    const path = compressible.target('target', base);
    const stream = encodeTransfer(base.length, [record]);
    const { status, stderr } = await newerLvmsync(['--apply', '-', path], stream);
    assert.equal(status, 7, stderr);
    assert.match(stderr, /cannot be decompressed/);
    assert.ok(sameContent(path, base));
  });

  test('when a compressed payload asks for a window beyond 2 MiB then it is refused', async () => {
    const base = Buffer.alloc(1 << 20);
    for (const [windowLog, status] of [
      [20, 0],
      [21, 0],
      [22, 7],
      [27, 7],
    ] as const) {
      const payload = await newerZstd(Buffer.alloc(1 << 20, 'x'), windowLog);
      const record = encodeRecord(TYPE.data, [[0, 1 << 20]], payload, {
        encoding: 1,
        decodedBytes: 1 << 20,
      });
      const path = compressible.target('target', base);
      const stream = encodeTransfer(base.length, [record]);
      const result = await newerLvmsync(['--apply', '-', path], stream);
      assert.equal(result.status, status, `window 2^${windowLog}: ${result.stderr}`);
    }
  });

  /** A frame by the newer Node, in two writes, so that it cannot know how long its content is. */
  async function newerZstd(content: Buffer, windowLog = 21): Promise<Buffer> {
    const script = `
      const { createZstdCompress, constants } = require('node:zlib');
      const content = require('node:fs').readFileSync(0);
      const params = { [constants.ZSTD_c_windowLog]: ${windowLog} };
      const stream = createZstdCompress({ params });
      stream.pipe(process.stdout);
      stream.write(content.subarray(0, 1000), () => stream.end(content.subarray(1000)));`;
    const { stdout, stderr } = await runCommand(newer, ['-e', script], { input: content });
    assert.ok(stdout.length > 0, stderr);
    return stdout;
  }
});

describe('--compress with zstd on one side only', { skip: hasZstd }, () => {
  test('when only the sender has it then all goes without, and that is told', async () => {
    const path = compressible.target('target', compressible.base);
    const rsh = compressible.rsh();
    const args = [...compressible.source, '--compress', '-v', '-e', rsh, `backup:${path}`];
    const { status, stderr } = await newerLvmsync(args);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /without compression: the receiver has no zstd/);
    assert.ok(sameContent(path, compressible.origin));
  });

  test('when only the receiver has it then all goes without, and that is told', async () => {
    const path = compressible.target('target', compressible.base);
    const rsh = compressible.rsh(newer);
    const args = [...compressible.source, '--compress', '-v', '-e', rsh, `backup:${path}`];
    const { stderr } = await lvmsyncOk(args);
    assert.match(stderr, /without compression: this Node has no zstd/);
    assert.ok(sameContent(path, compressible.origin));
  });

  test('when a compressed file meets a Node without zstd then that is what it says', async () => {
    const packed = await streamOf(compressible, '--compress');
    const path = compressible.target('target', compressible.base);
    const { status, stderr } = await lvmsync(['--apply', '-', path], { input: packed });
    assert.equal(status, 7);
    assert.match(stderr, /this Node has no zstd/);
    assert.ok(sameContent(path, compressible.base));
  });

  test('when a file is to be compressed by a Node without zstd then it is refused', async () => {
    const args = [...compressible.source, '--stdout', '--protocol', '4', '--compress'];
    const { status, stderr, stdout } = await lvmsync(args);
    assert.equal(status, 2, stderr);
    assert.equal(stdout.length, 0);
    assert.match(stderr, /this Node has no zstd/);
  });
});
