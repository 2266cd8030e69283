/**
 * Stands in for the original tool's sender: a record for every chunk in the store, in the store's
 * order, neither sorted nor joined, piped into what it starts through a shell. It shares no code
 * with lvmsync. Only for stores of one metadata area.
 *
 *   original-sender STORE ORIGIN RSH HOST:DESTINATION [OPTION]...
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

const [storePath, originPath, rsh, destination, ...options] = process.argv.slice(2);
if (storePath === undefined || originPath === undefined || destination === undefined) {
  process.exit(2);
}

const store = readFileSync(storePath);
const origin = readFileSync(originPath);
const chunkBytes = store.readUInt32LE(12) * 512;
const stream = [Buffer.from('lvmsync PROTO[3]\n')];
for (let entry = chunkBytes; entry < 2 * chunkBytes; entry += 16) {
  if (store.readBigUInt64LE(entry + 8) === 0n) break;
  const offset = store.readBigUInt64LE(entry) * BigInt(chunkBytes);
  const data = origin.subarray(Number(offset), Number(offset) + chunkBytes);
  const header = Buffer.alloc(12);
  header.writeBigUInt64BE(offset);
  header.writeUInt32BE(data.length, 8);
  stream.push(header, data);
}

const [host, path] = destination.split(':');
const command = [rsh, host, 'lvmsync', '--apply', '-', ...options, path].join(' ');
const receiver = spawn('sh', ['-c', command], { stdio: ['pipe', 'inherit', 'inherit'] });
receiver.stdin.on('error', () => {});
receiver.stdin.end(Buffer.concat(stream));
receiver.on('exit', (status) => {
  process.exitCode = status === 0 ? 0 : 1;
});
