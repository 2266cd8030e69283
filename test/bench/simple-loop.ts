/**
 * simple-loop STORE ORIGIN CONFIG HOST LVMSYNC TARGET: the changes as PROTO[3] over ssh, one chunk
 * at a time; the receiver is ours with the js engine.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { loadEngine } from '#lvmsync/block/engines.js';
import { createPieceCursor } from '#lvmsync/extents/piece-cursor.js';
import { readExceptions } from '#lvmsync/lvm/exception-store.js';

const [store = '', origin = '', config = '', host = '', lvmsync = '', target = ''] =
  process.argv.slice(2);
const { engine } = loadEngine('js');
const device = await engine.open(store, { mode: 'read' });
const file = await open(origin, 'r');
const extents = await readExceptions(device, { originBytes: (await file.stat()).size, engine });
const receiver = [process.execPath, lvmsync, '--engine', 'js', '--apply', '-', target];
const child = spawn('ssh', ['-F', config, '-c', 'aes128-gcm@openssh.com', host, ...receiver], {
  stdio: ['pipe', 'ignore', 'inherit'],
});
child.stdin.write('lvmsync PROTO[3]\n');
const pieces = createPieceCursor(extents);
while (pieces.take(extents.chunkBytes)) {
  const record = Buffer.alloc(12 + pieces.length);
  record.writeBigUInt64BE(BigInt(pieces.offset));
  record.writeUInt32BE(pieces.length, 8);
  await file.read(record, 12, pieces.length, pieces.offset);
  await new Promise((resolve) => child.stdin.write(record, resolve));
}
child.stdin.end();
const [status] = await once(child, 'exit');
process.exit(status ?? 1);
