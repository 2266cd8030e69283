/** Lets `lvmsync status` see a run and change its limit while it is in flight. */
import { randomBytes } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Bandwidth } from '../transport/bandwidth.js';
import type { Progress } from './progress.js';
import { makeRunDirectory, runDirectoryPath } from './run-directory.js';
import { formatStatus, MAX_REQUEST_BYTES, obey, type RunIdentity } from './run-status.js';

/** Who says nothing has nothing to ask. */
const REQUEST_MS = 5000;

export interface RunSocketOptions {
  identity: RunIdentity;
  bandwidth: Bandwidth;
  progress(): Progress;
  /** Told why the run cannot be seen, where it cannot; the run goes on. */
  onFailure(error: Error): void;
}

/** Answers until the run ends. @returns what ends it, and removes its socket */
export function openRunSocket(options: RunSocketOptions): () => Promise<void> {
  const { identity, onFailure } = options;
  const directory = runDirectoryPath();
  const path = join(directory, `${identity.pid}.${randomBytes(4).toString('hex')}`);
  const sockets = new Set<Socket>();
  let server: Server;
  try {
    makeRunDirectory(directory);
    server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      converse(socket, options);
    });
    server.on('error', onFailure);
    server.listen(path).unref();
  } catch (error) {
    onFailure(error instanceof Error ? error : new Error(String(error)));
    return async () => {};
  }
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
}

function converse(socket: Socket, { identity, bandwidth, progress }: RunSocketOptions): void {
  let request = '';
  socket.unref();
  socket.on('error', () => {});
  socket.setTimeout(REQUEST_MS, () => socket.destroy());
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    request += text;
    if (request.length > MAX_REQUEST_BYTES) return void socket.destroy();
    if (!request.endsWith('\n')) return;
    if (!obey(request, bandwidth)) return void socket.destroy();
    const { bytesPerSecond: bandwidthLimit } = bandwidth;
    socket.end(formatStatus({ ...identity, bandwidthLimit, progress: progress() }));
  });
  socket.on('end', () => socket.end());
}
