/**
 * Stands in for the original tool's receiver, made from what that was seen to do: PROTO[3] only,
 * any order and length, a CR after the handshake; a stream cut short is taken for its end, and
 * what lies past the target's end is skipped, both with exit status 0. It shares no code with
 * lvmsync. ORIGINAL_LOG names a file to which it appends its arguments, one JSON array a line.
 */
import { appendFileSync, closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';

const argv = process.argv.slice(2);
if (process.env.ORIGINAL_LOG !== undefined) {
  appendFileSync(process.env.ORIGINAL_LOG, `${JSON.stringify(argv)}\n`);
}

function fail(message: string): never {
  process.stderr.write(`FATAL ERROR: ${message}\n`);
  process.exit(1);
}

function readInput(): Buffer {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = Buffer.alloc(1 << 16);
    const count = readSync(0, chunk);
    if (count === 0) return Buffer.concat(chunks);
    chunks.push(chunk.subarray(0, count));
  }
}

const words = [...argv];
if (words.shift() !== '--apply' || words.shift() !== '-') fail(`invalid option: ${argv[0]}`);
const snapback = words[0] === '--snapback' ? words.splice(0, 2)[1] : undefined;
if (words[0] === '-v') words.shift();
if (words[0] === '-d') words.shift();
const [destination, ...more] = words;
if (destination === undefined || destination.startsWith('-')) {
  fail(`invalid option: ${destination}`);
}
if (more.length > 0) fail(`too many arguments: ${more.join(' ')}`);

const input = readInput();
const handshakeEnd = input.indexOf('\n') + 1;
const handshake = input.toString('latin1', 0, handshakeEnd).trimEnd();
if (handshake !== 'lvmsync PROTO[3]') fail(`Handshake failed; protocol mismatch? (${handshake})`);

const target = openSync(destination, 'r+');
const targetBytes = fstatSync(target).size;
const saved = snapback === undefined ? undefined : openSync(snapback, 'w');
if (saved !== undefined) writeSync(saved, 'lvmsync PROTO[3]\n');
for (let at = handshakeEnd; at + 12 <= input.length; ) {
  const header = input.subarray(at, at + 12);
  const offset = Number(header.readBigUInt64BE(0));
  const length = header.readUInt32BE(8);
  const data = input.subarray(at + 12, at + 12 + length);
  at += 12 + length;
  if (offset + data.length > targetBytes) continue;
  if (saved !== undefined) {
    const before = Buffer.alloc(data.length);
    readSync(target, before, 0, before.length, offset);
    writeSync(saved, header);
    writeSync(saved, before);
  }
  writeSync(target, data, 0, data.length, offset);
}
if (saved !== undefined) closeSync(saved);
closeSync(target);
