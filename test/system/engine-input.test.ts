import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { crc32c } from '#lvmsync/checksum/crc32c.js';
import { createRandom } from '../support/random.js';
import { repositoryRoot } from '../support/repository.js';

const ENGINE = pathToFileURL(join(repositoryRoot, 'dist/block/native-engine.js')).href;

/** Starts a program that has `input`, the native engine's reading of its standard input. */
function startReader(body: string) {
  const program = `
    import { createHash } from 'node:crypto';
    import { createNativeEngine } from '${ENGINE}';
    const input = createNativeEngine().engine.readInput(0, 'standard input');
    ${body}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  return { child, ended: once(child, 'close').then(([status]) => ({ status, output })) };
}

test('when a pipe brings bytes in bursts, then all of them are read, in order, to the end', async () => {
  const { child, ended } = startReader(`
    const hash = createHash('sha256');
    const buffer = Buffer.alloc(300_001);
    for (let bytes; (bytes = await input.read(buffer)) > 0; ) hash.update(buffer.subarray(0, bytes));
    process.stdout.write(hash.digest('hex'));`);
  const random = createRandom(7);
  const hash = createHash('sha256');
  for (let burst = 0; burst < 12; burst++) {
    const bytes = random.bytes(1 + random.below(400_000));
    hash.update(bytes);
    if (!child.stdin.write(bytes)) await once(child.stdin, 'drain');
    if (burst % 4 === 0) await delay(300);
  }
  child.stdin.end();
  assert.deepEqual(await ended, { status: 0, output: hash.digest('hex') });
});

test('when bodies are checked while they are read then nothing is lost of what lies between them', async () => {
  const { child, ended } = startReader(`
    const header = Buffer.alloc(32);
    const body = Buffer.alloc(700_000);
    for (;;) {
      for (let at = 0, bytes; at < header.length; at += bytes) {
        bytes = await input.read(header.subarray(at));
        if (bytes === 0) process.exit(0);
      }
      const length = header.readUInt32BE(0);
      let crc = 0;
      for (let at = 0; at < length; ) {
        const read = await input.readChecked(body.subarray(at, length), crc);
        ({ crc } = read);
        at += read.bytes;
      }
      process.stdout.write(createHash('sha256').update(header).update(body.subarray(0, length)).digest('hex') + ' ' + crc + '\\n');
    }`);
  const random = createRandom(8);
  let expected = '';
  for (const length of [1, 31, 32, 33, 64, 65_536, 262_144, 699_999, 700_000, 5]) {
    const header = random.bytes(32);
    header.writeUInt32BE(length, 0);
    const body = random.bytes(length);
    const hash = createHash('sha256').update(header).update(body).digest('hex');
    expected += `${hash} ${crc32c(body)}\n`;
    const bytes = Buffer.concat([header, body]);
    // The end of one write lies within what is read ahead by the one before.
    const cut = random.below(40);
    for (const part of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
      if (!child.stdin.write(part)) await once(child.stdin, 'drain');
    }
    if (length % 2 === 0) await delay(150);
  }
  child.stdin.end();
  assert.deepEqual(await ended, { status: 0, output: expected });
});

test('when little comes, then it is handed over without waiting for a full buffer', async () => {
  const { child, ended } = startReader(`
    const buffer = Buffer.alloc(1 << 20);
    const bytes = await input.read(buffer);
    process.stdout.write(buffer.toString('latin1', 0, bytes));
    process.exit(0);`);
  child.stdin.write('hello');
  assert.deepEqual(await ended, { status: 0, output: 'hello' });
});

test('when a process exits while it waits for input, then it exits', async () => {
  const { ended } = startReader(`
    input.read(Buffer.alloc(10)).catch(() => {});
    setTimeout(() => process.exit(7), 100);`);
  assert.deepEqual(await ended, { status: 7, output: '' });
});
