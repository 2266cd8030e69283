/** Links over a connection of an OpenSSH client's own, which encrypts on a core of its own. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { reasonOf } from '../block/errno.js';
import { nowMs } from '../clock.js';
import { LvmsyncError } from '../errors.js';
import { isTurnOver, nextTurn } from '../extents/turns.js';
import { access, mkdtemp, rm } from '../files.js';
import { type LinkOpener, socketLink } from './link.js';

export interface OpensshOptions {
  /** The client and its options, the host last: `['ssh', '-p', '2222', 'user@host']`. */
  command: readonly string[];
  description: string;
}

/** How long connecting may take, and how often to look, in milliseconds. */
const CONNECT_MS = 30_000;
const LOOK_EVERY_MS = 20;

/** A connection that asks nothing, is nobody else's, and only forwards. */
const OPTIONS = [
  ['BatchMode', 'yes'],
  ['ControlPath', 'none'],
  ['ExitOnForwardFailure', 'yes'],
  ['StreamLocalBindMask', '0177'],
].flatMap(([keyword, value]) => ['-o', `${keyword}=${value}`]);

/** The first `open` connects. What the client prints is for nobody: a link less is no failure. */
export function opensshLinks({ command, description }: OpensshOptions): LinkOpener {
  let forward: Promise<Forward> | undefined;
  return {
    isApart: true,
    async open(socketPath) {
      forward ??= startForward(command, description, socketPath);
      const { localPath } = await forward;
      if (isTurnOver()) await nextTurn(); // all who waited for it go on at the same time
      const socket = await connectTo(localPath)
        // The file is there a moment before the client listens.
        .catch(() => delay(LOOK_EVERY_MS).then(() => connectTo(localPath)))
        .catch((cause: unknown) => {
          throw failed(description, 'the forwarded socket does not answer', cause);
        });
      return socketLink(socket, description);
    },
    async close() {
      const started = await forward?.catch(() => undefined);
      await started?.close();
    },
  };
}

interface Forward {
  localPath: string;
  close(): Promise<void>;
}

async function startForward(
  [program = 'ssh', ...words]: readonly string[],
  description: string,
  socketPath: string,
): Promise<Forward> {
  const directory = await mkdtemp(join(tmpdir(), 'lvmsync-'));
  const localPath = join(directory, 'links');
  const host = words.at(-1) ?? '';
  const args = [...OPTIONS, ...words.slice(0, -1), '-N', '-T', '-L', `${localPath}:${socketPath}`];
  const child = spawn(program, [...args, host], { stdio: 'ignore' });
  let ended: string | undefined;
  const end = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      ended = `${program} cannot be run: ${reasonOf(error).words}`;
      resolve();
    });
    child.once('exit', (status) => {
      ended = `${program} ended with status ${status}`;
      resolve();
    });
  });
  async function close(): Promise<void> {
    child.kill('SIGTERM');
    await end;
    await rm(directory, { recursive: true, force: true });
  }
  const deadline = nowMs() + CONNECT_MS;
  for (;;) {
    const listens = await access(localPath).then(
      () => true,
      () => false,
    );
    if (listens) return { localPath, close };
    if (ended !== undefined || nowMs() > deadline) {
      await close();
      throw failed(description, ended ?? 'no connection in time');
    }
    await delay(LOOK_EVERY_MS);
  }
}

async function connectTo(path: string): Promise<Socket> {
  const socket = connect({ path, allowHalfOpen: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

function failed(description: string, reason: string, cause?: unknown): LvmsyncError {
  return new LvmsyncError('CONNECT_FAILED', `${description}: no further connection: ${reason}`, {
    cause,
    hint: 'it must be able to log in without a question (ssh -o BatchMode=yes) and to forward sockets',
  });
}
