/** tls-alone BYTES: sends so many bytes from memory over TLS to a process that forgets them. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { collectInOneGo } from '#lvmsync/block/heap.js';
import { connectTlsLink, pskServerOptions } from '#lvmsync/transport/tls-link.js';

const HOST = '127.0.0.1';
const PSK = '5'.repeat(64);

async function forget(): Promise<void> {
  const server = createServer({ ...pskServerOptions(PSK), highWaterMark: 256 << 10 });
  server.listen(0, HOST);
  await once(server, 'listening');
  const address = server.address();
  process.send?.(typeof address === 'object' && address !== null ? address.port : 0);
  const [socket] = await once(server, 'secureConnection');
  socket.on('data', () => {});
  await once(socket, 'end');
  socket.end();
  server.close();
  process.disconnect();
}

async function send(bytes: number): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), ['forget']);
  const [port] = await once(child, 'message');
  const link = await connectTlsLink({ host: HOST, port: Number(port), psk: PSK }, 5000, {});
  const buffer = Buffer.alloc(1 << 20, 7);
  for (let sent = 0; sent < bytes; sent += buffer.length) {
    if (!link.input.write(buffer)) await once(link.input, 'drain');
  }
  link.input.end();
  await Promise.all([once(child, 'exit'), link.source.read(Buffer.alloc(1))]);
}

collectInOneGo(); // every record of Node's TLS is a buffer of its own
const [word = '0'] = process.argv.slice(2);
await (word === 'forget' ? forget() : send(Number(word)));
